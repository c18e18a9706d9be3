//! What runs start with: for each kind of start, its payload and its event.

use std::borrow::Cow;

use serde_json::Value;

use super::asked::{Begun, Ruling};
use super::flavour::Flavour;
use super::kinds::{Chain, Family, Kind, Llm, Retriever, Tool};
use super::opener::Opener;
use super::start::Start;
use crate::argument::Payload;
use crate::events::{
    ChainStart, ChatModelStart, LlmEnd, LlmError, LlmRequest, LlmStart, RetrieverStart,
    ToolRequest, ToolStart,
};
use crate::payload::{LlmResult, Message, ModelParams, Serialized, buffer_string};
use crate::{Decision, EmitError};

/// What a [`Start`] starts with: [`Prompts`], [`Messages`], [`Inputs`], [`ToolInput`] or [`Query`].
pub trait Opening<'a>: opening::Sealed<'a> {}

impl<'a, O: opening::Sealed<'a>> Opening<'a> for O {}

/// What handlers decide about before it starts: [`Prompts`], [`Messages`] or [`ToolInput`].
pub trait Deciding<'a>: Opening<'a> {}

pub(super) mod opening {
    use super::{Begun, EmitError, Kind, Opener, Serialized};

    pub trait Sealed<'a>: Send + 'a {
        type Kind: Kind;
        /// What the guard of a run knows of what was decided.
        type Decided: Send + Unpin + 'static;

        /// Asks about the run, opens it, and emits its start.
        fn start(
            self,
            serialized: Option<&'a Serialized>,
            opener: Opener,
        ) -> impl Future<Output = Result<Begun<Self::Kind, Self::Decided>, EmitError>> + Send;

        /// What was decided, where nobody was asked.
        fn as_given(&self) -> Self::Decided;
    }
}

/// What a text model starts with.
#[derive(Debug)]
pub struct Prompts<P, M> {
    pub(crate) prompts: P,
    pub(crate) params: Option<M>,
}

/// What a chat model starts with.
#[derive(Debug)]
pub struct Messages<P, M> {
    pub(crate) messages: P,
    pub(crate) params: Option<M>,
}

/// What a chain starts with.
#[derive(Debug)]
pub struct Inputs<P> {
    pub(crate) inputs: P,
}

/// What a tool starts with.
#[derive(Debug)]
pub struct ToolInput<'a, P> {
    pub(crate) input: &'a str,
    pub(crate) inputs: Option<P>,
    pub(crate) tool_call_id: Option<&'a str>,
}

/// What a retriever starts with.
#[derive(Debug)]
pub struct Query<'a> {
    pub(crate) query: &'a str,
}

impl<'a, P, M, F: Flavour> Start<'a, Prompts<P, M>, F> {
    /// Says how the call is made.
    pub fn params<N: Payload<ModelParams>>(self, params: N) -> Start<'a, Prompts<P, N>, F> {
        self.map(|opening| Prompts {
            prompts: opening.prompts,
            params: Some(params),
        })
    }
}

impl<'a, P, M, F: Flavour> Start<'a, Messages<P, M>, F> {
    /// Says how the call is made.
    pub fn params<N: Payload<ModelParams>>(self, params: N) -> Start<'a, Messages<P, N>, F> {
        self.map(|opening| Messages {
            messages: opening.messages,
            params: Some(params),
        })
    }
}

impl<'a, P, F: Flavour> Start<'a, ToolInput<'a, P>, F> {
    /// The input by argument, beside the input as text.
    pub fn inputs<Q: Payload<Value>>(self, inputs: Q) -> Start<'a, ToolInput<'a, Q>, F> {
        self.map(|opening| ToolInput {
            input: opening.input,
            inputs: Some(inputs),
            tool_call_id: opening.tool_call_id,
        })
    }

    /// The model's request that the tool answers.
    pub fn tool_call_id(mut self, id: &'a str) -> Self {
        self.opening.tool_call_id = Some(id);
        self
    }
}

impl Opener {
    /// How a model is called, if a handler will see it: with its start or its end.
    fn params<'p, M: Payload<ModelParams> + 'p>(
        &self,
        with_start: bool,
        params: Option<M>,
    ) -> Option<Cow<'p, ModelParams>> {
        let wanted = with_start || self.wants::<LlmEnd<'_>>() || self.wants::<LlmError<'_>>();
        params.filter(|_| wanted).map(Payload::into_cow)
    }
}

impl Opener {
    /// Asks about each conversation for a model. Gives the batch if it is another now.
    async fn ask_about(
        &mut self,
        serialized: Option<&Serialized>,
        batch: &[Vec<Message>],
        params: Option<&ModelParams>,
    ) -> Result<(Option<Vec<Vec<Message>>>, Ruling<LlmResult>), EmitError> {
        let mut decided: Option<Vec<Vec<Message>>> = None;
        for (at, messages) in batch.iter().enumerate() {
            let request = LlmRequest {
                serialized,
                messages,
                params,
            };
            let (settled, twin) = self.ask(request).await?.apart();
            let rewritten = twin.filter(|twin| twin.messages != *messages);
            if let Some(twin) = rewritten {
                decided.get_or_insert_with(|| batch.to_vec())[at] = twin.messages;
            }
            let ruling = match settled {
                Some(Decision::Answer(answer)) if batch.len() == 1 => Ruling::Answer(answer),
                Some(Decision::Answer(_)) => Ruling::Stop(
                    "a handler answered for one conversation of a batch, which cannot be done"
                        .to_owned(),
                ),
                Some(Decision::Stop(reason)) => Ruling::Stop(reason),
                Some(Decision::Continue | Decision::Rewrite(_)) | None => continue,
            };
            // Nobody was asked about the others, so nobody sees them.
            if at + 1 < batch.len() {
                decided
                    .get_or_insert_with(|| batch.to_vec())
                    .truncate(at + 1);
            }
            return Ok((decided, ruling));
        }
        let ruling = Ruling::about(decided.as_ref());
        Ok((decided, ruling))
    }
}

impl<A> Ruling<A> {
    /// Where nobody answered.
    fn about<T>(decided: Option<&T>) -> Self {
        match decided {
            Some(_) => Self::Rewritten,
            None => Self::Go,
        }
    }
}

impl<'a, P, M> opening::Sealed<'a> for Prompts<P, M>
where
    P: Payload<[String]> + 'a,
    M: Payload<ModelParams> + 'a,
{
    type Kind = Llm;
    type Decided = Option<Vec<String>>;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        mut opener: Opener,
    ) -> Result<Begun<Llm, Self::Decided>, EmitError> {
        let asks = opener.wants::<LlmRequest<'_>>();
        let wanted = opener.wants::<LlmStart<'_>>();
        let prompts = (asks || wanted).then(|| self.prompts.into_cow());
        let params = opener.params(asks || wanted, self.params);
        let params = params.as_deref();
        let (mut decided, mut ruling) = (None, Ruling::Go);
        if let Some(prompts) = prompts.as_deref().filter(|_| asks) {
            let as_messages = |prompt: &String| vec![Message::human(prompt.as_str())];
            let batch: Vec<_> = prompts.iter().map(as_messages).collect();
            let (rewritten, ruled) = opener.ask_about(serialized, &batch, params).await?;
            decided = rewritten.map(|batch| batch.iter().map(|chat| prompt(chat)).collect());
            ruling = ruled;
        }
        let event = decided.as_deref().or(prompts.as_deref());
        let event = event.filter(|_| wanted).map(|prompts| LlmStart {
            serialized,
            prompts,
            params,
        });
        let params = params.cloned().map(Box::new);
        let core = opener.open(Family::Model { params }, event).await?;
        Ok(Begun {
            core,
            decided,
            ruling,
        })
    }

    fn as_given(&self) -> Self::Decided {
        None
    }
}

impl<'a, P, M> Deciding<'a> for Prompts<P, M>
where
    P: Payload<[String]> + 'a,
    M: Payload<ModelParams> + 'a,
{
}

/// A conversation as the prompt of a text model.
fn prompt(messages: &[Message]) -> String {
    match messages {
        [message] => message.text().into_owned(),
        messages => buffer_string(messages),
    }
}

impl<'a, P, M> opening::Sealed<'a> for Messages<P, M>
where
    P: Payload<[Vec<Message>]> + 'a,
    M: Payload<ModelParams> + 'a,
{
    type Kind = Llm;
    type Decided = Option<Vec<Vec<Message>>>;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        mut opener: Opener,
    ) -> Result<Begun<Llm, Self::Decided>, EmitError> {
        let asks = opener.wants::<LlmRequest<'_>>();
        let wanted = opener.wants::<ChatModelStart<'_>>();
        let messages = (asks || wanted).then(|| self.messages.into_cow());
        let params = opener.params(asks || wanted, self.params);
        let params = params.as_deref();
        let (mut decided, mut ruling) = (None, Ruling::Go);
        if let Some(messages) = messages.as_deref().filter(|_| asks) {
            (decided, ruling) = opener.ask_about(serialized, messages, params).await?;
        }
        let event = decided.as_deref().or(messages.as_deref());
        let event = event.filter(|_| wanted).map(|messages| ChatModelStart {
            serialized,
            messages,
            params,
        });
        let params = params.cloned().map(Box::new);
        let core = opener.open(Family::Model { params }, event).await?;
        Ok(Begun {
            core,
            decided,
            ruling,
        })
    }

    fn as_given(&self) -> Self::Decided {
        None
    }
}

impl<'a, P, M> Deciding<'a> for Messages<P, M>
where
    P: Payload<[Vec<Message>]> + 'a,
    M: Payload<ModelParams> + 'a,
{
}

impl<'a, P: Payload<Value> + 'a> opening::Sealed<'a> for Inputs<P> {
    type Kind = Chain;
    type Decided = ();

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> Result<Begun<Chain, ()>, EmitError> {
        let inputs = opener
            .wants::<ChainStart<'_>>()
            .then(|| self.inputs.into_cow());
        let event = inputs
            .as_deref()
            .map(|inputs| ChainStart { serialized, inputs });
        Begun::unasked(opener.open(Family::Chain, event).await)
    }

    fn as_given(&self) {}
}

impl<'a, P: Payload<Value> + 'a> opening::Sealed<'a> for ToolInput<'a, P> {
    type Kind = Tool;
    type Decided = String;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        mut opener: Opener,
    ) -> Result<Begun<Tool, String>, EmitError> {
        let asks = opener.wants::<ToolRequest<'_>>();
        let wanted = opener.wants::<ToolStart<'_>>();
        let tool_call_id = self.tool_call_id;
        let inputs = self.inputs.filter(|_| asks || wanted);
        let mut inputs = inputs.map(Payload::into_cow);
        let (mut decided, mut ruling) = (None, Ruling::Go);
        if asks {
            let request = ToolRequest {
                serialized,
                input: self.input,
                inputs: inputs.as_deref(),
                tool_call_id,
            };
            let (settled, twin) = opener.ask(request).await?.apart();
            if let Some(twin) = twin.filter(|twin| twin.input != self.input) {
                decided = Some(twin.input);
                inputs = twin.inputs.map(Cow::Owned);
            }
            ruling = match settled {
                Some(Decision::Answer(answer)) => Ruling::Answer(answer),
                Some(Decision::Stop(reason)) => Ruling::Stop(reason),
                _ => Ruling::about(decided.as_ref()),
            };
        }
        let event = wanted.then_some(ToolStart {
            serialized,
            input: decided.as_deref().unwrap_or(self.input),
            inputs: inputs.as_deref(),
            tool_call_id,
        });
        let family = Family::Tool {
            tool_call_id: tool_call_id.map(str::to_owned),
        };
        let core = opener.open(family, event).await?;
        Ok(Begun {
            core,
            decided: decided.unwrap_or_else(|| self.input.to_owned()),
            ruling,
        })
    }

    fn as_given(&self) -> String {
        self.input.to_owned()
    }
}

impl<'a, P: Payload<Value> + 'a> Deciding<'a> for ToolInput<'a, P> {}

impl<'a> opening::Sealed<'a> for Query<'a> {
    type Kind = Retriever;
    type Decided = ();

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> Result<Begun<Retriever, ()>, EmitError> {
        let event = opener
            .wants::<RetrieverStart<'_>>()
            .then_some(RetrieverStart {
                serialized,
                query: self.query,
            });
        Begun::unasked(opener.open(Family::Retriever, event).await)
    }

    fn as_given(&self) {}
}
