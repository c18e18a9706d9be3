//! What runs start with: for each kind of start, its payload and its event.

use std::borrow::Cow;

use serde_json::Value;

use super::asked::{Begun, Ruling};
use super::flavour::Flavour;
use super::kinds::{Chain, Family, Kind, Llm, Retriever, Tool};
use super::opener::Opener;
use super::start::Start;
use crate::EmitError;
use crate::argument::Payload;
use crate::events::{ChainStart, RetrieverStart, ToolRequest, ToolStart};
use crate::payload::{Message, ModelParams, Serialized};

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

    /// The id of the model's request that the tool answers.
    pub fn tool_call_id(mut self, id: &'a str) -> Self {
        self.opening.tool_call_id = Some(id);
        self
    }
}

impl<'a, P, M> opening::Sealed<'a> for Prompts<P, M>
where
    P: Payload<[String]> + 'a,
    M: Payload<ModelParams> + 'a,
{
    type Kind = Llm;
    type Decided = Option<Vec<String>>;

    // Not an `async fn`, whose future would have the payload a second time.
    fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> impl Future<Output = Result<Begun<Llm, Self::Decided>, EmitError>> + Send {
        opener.start_model(serialized, self.prompts, self.params)
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

impl<'a, P, M> opening::Sealed<'a> for Messages<P, M>
where
    P: Payload<[Vec<Message>]> + 'a,
    M: Payload<ModelParams> + 'a,
{
    type Kind = Llm;
    type Decided = Option<Vec<Vec<Message>>>;

    // Not an `async fn`, whose future would have the payload a second time.
    fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> impl Future<Output = Result<Begun<Llm, Self::Decided>, EmitError>> + Send {
        opener.start_model(serialized, self.messages, self.params)
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
            ruling = Ruling::of(settled, decided.is_some());
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
