//! Tokens to a WebSocket: each request has a handler of its own.
//!
//! ```sh
//! cargo run --example websocket --features websocket
//! ```

use callbacks::{BoxError, Callbacks, LlmResult, RunError, callback_handler, handler};
use callbacks_examples::ChatOpenAi;
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_tungstenite::{WebSocketStream, accept_async, connect_async, tungstenite};
use tungstenite::{Error, Message as Frame};

/// Sends what a model says. The model waits while the socket does.
struct Socket(Mutex<SplitSink<WebSocketStream<TcpStream>, Frame>>);

#[callback_handler]
impl Socket {
    async fn on_llm_new_token(&self, token: &str) -> Result<(), Error> {
        self.0.lock().await.send(Frame::text(token)).await
    }

    async fn on_llm_end(&self) -> Result<(), Error> {
        self.0.lock().await.close().await
    }

    async fn on_llm_error(&self, error: &RunError) -> Result<(), Error> {
        self.on_llm_new_token(&format!("[{error}]")).await?;
        self.on_llm_end().await
    }
}

async fn serve(stream: TcpStream) -> Result<LlmResult, BoxError> {
    let (sender, mut receiver) = accept_async(stream).await?.split();
    let prompt = receiver.next().await.ok_or("nothing was asked")??;
    // Nobody is left to read it if it cannot be sent: then the model stops, too.
    let socket = handler(Socket(Mutex::new(sender))).raise_errors();
    let chat = ChatOpenAi::new().callbacks(Callbacks::new().with(socket));
    Ok(chat.streaming(true).invoke(prompt.to_text()?).await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    for prompt in ["Tell me a joke", "Is there life on Mars?"] {
        let (mut socket, _) = connect_async(format!("ws://{address}")).await?;
        socket.send(Frame::text(prompt)).await?;
        while let Some(Ok(Frame::Text(token))) = socket.next().await {
            println!("{token}");
        }
    }
    Ok(())
}
