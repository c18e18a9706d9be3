//! Tokens to a WebSocket: each request has a handler of its own.
//!
//! ```sh
//! cargo run --example websocket --features websocket
//! ```

use callbacks::{Callbacks, LlmResult, callback_handler, handler};
use callbacks_examples::ChatOpenAi;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, accept_async, connect_async};

/// Sends what a model says. The model waits while the socket does.
struct Socket(Mutex<SplitSink<WebSocketStream<TcpStream>, Frame>>);

#[callback_handler]
impl Socket {
    async fn on_llm_new_token(&self, token: &str) -> Result<(), Error> {
        self.0.lock().await.send(Frame::text(token)).await
    }

    async fn on_llm_end(&self, response: &LlmResult) -> Result<(), Error> {
        let tokens = response.usage().output_tokens.unwrap_or_default();
        let last = Frame::text(format!("[{tokens} tokens]"));
        self.0.lock().await.send(last).await?;
        self.0.lock().await.close().await
    }
}

async fn serve(stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    let (sender, mut receiver) = accept_async(stream).await?.split();
    let prompt = receiver.next().await.ok_or("nothing was asked")??;
    // Nobody is left to read it if it cannot be sent: then the model stops, too.
    let socket = handler(Socket(Mutex::new(sender))).raise_errors();
    let callbacks = Callbacks::new().with(socket);
    let chat = ChatOpenAi::new().streaming(true).callbacks(callbacks);
    chat.invoke(prompt.to_text()?).await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = async { serve(listener.accept().await?.0).await };
    let client = async {
        let (mut socket, _) = connect_async(format!("ws://{address}")).await?;
        socket.send(Frame::text("Tell me a joke")).await?;
        while let Some(Ok(Frame::Text(token))) = socket.next().await {
            println!("{token}");
        }
        Ok(())
    };
    tokio::try_join!(server, client)?;
    Ok(())
}
