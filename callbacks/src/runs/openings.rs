//! What runs start with: for each kind of start, its payload and its event.

use std::borrow::Cow;

use serde_json::Value;

use super::guard::RunGuard;
use super::kinds::{Chain, Family, Kind, Llm, Retriever, Tool};
use super::start::{Opener, Start};
use crate::EmitError;
use crate::argument::Payload;
use crate::events::{
    ChainStart, ChatModelStart, LlmEnd, LlmError, LlmStart, RetrieverStart, ToolStart,
};
use crate::payload::{Message, ModelParams, Serialized};

/// What a [`Start`] starts with: [`Prompts`], [`Messages`], [`Inputs`], [`ToolInput`] or [`Query`].
pub trait Opening<'a>: opening::Sealed<'a> {}

impl<'a, O: opening::Sealed<'a>> Opening<'a> for O {}

mod opening {
    use super::{EmitError, Kind, Opener, RunGuard, Serialized};

    pub trait Sealed<'a>: Send + 'a {
        type Kind: Kind;

        /// Opens the run and emits its start.
        fn start(
            self,
            serialized: Option<&'a Serialized>,
            opener: Opener,
        ) -> impl Future<Output = Result<RunGuard<Self::Kind>, EmitError>> + Send;
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

impl<'a, P, M> Start<'a, Prompts<P, M>> {
    /// Says how the call is made.
    pub fn params<N: Payload<ModelParams>>(self, params: N) -> Start<'a, Prompts<P, N>> {
        self.map(|opening| Prompts {
            prompts: opening.prompts,
            params: Some(params),
        })
    }
}

impl<'a, P, M> Start<'a, Messages<P, M>> {
    /// Says how the call is made.
    pub fn params<N: Payload<ModelParams>>(self, params: N) -> Start<'a, Messages<P, N>> {
        self.map(|opening| Messages {
            messages: opening.messages,
            params: Some(params),
        })
    }
}

impl<'a, P> Start<'a, ToolInput<'a, P>> {
    /// The input by argument, beside the input as text.
    pub fn inputs<Q: Payload<Value>>(self, inputs: Q) -> Start<'a, ToolInput<'a, Q>> {
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

impl<'a, P, M> opening::Sealed<'a> for Prompts<P, M>
where
    P: Payload<[String]> + 'a,
    M: Payload<ModelParams> + 'a,
{
    type Kind = Llm;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> Result<RunGuard<Llm>, EmitError> {
        let wanted = opener.wants::<LlmStart<'_>>();
        let prompts = wanted.then(|| self.prompts.into_cow());
        let params = opener.params(wanted, self.params);
        let params = params.as_deref();
        let event = prompts.as_deref().map(|prompts| LlmStart {
            serialized,
            prompts,
            params,
        });
        let params = params.cloned().map(Box::new);
        opener.open(Family::Model { params }, event).await
    }
}

impl<'a, P, M> opening::Sealed<'a> for Messages<P, M>
where
    P: Payload<[Vec<Message>]> + 'a,
    M: Payload<ModelParams> + 'a,
{
    type Kind = Llm;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> Result<RunGuard<Llm>, EmitError> {
        let wanted = opener.wants::<ChatModelStart<'_>>();
        let messages = wanted.then(|| self.messages.into_cow());
        let params = opener.params(wanted, self.params);
        let params = params.as_deref();
        let event = messages.as_deref().map(|messages| ChatModelStart {
            serialized,
            messages,
            params,
        });
        let params = params.cloned().map(Box::new);
        opener.open(Family::Model { params }, event).await
    }
}

impl<'a, P: Payload<Value> + 'a> opening::Sealed<'a> for Inputs<P> {
    type Kind = Chain;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> Result<RunGuard<Chain>, EmitError> {
        let inputs = opener
            .wants::<ChainStart<'_>>()
            .then(|| self.inputs.into_cow());
        let event = inputs
            .as_deref()
            .map(|inputs| ChainStart { serialized, inputs });
        opener.open(Family::Chain, event).await
    }
}

impl<'a, P: Payload<Value> + 'a> opening::Sealed<'a> for ToolInput<'a, P> {
    type Kind = Tool;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> Result<RunGuard<Tool>, EmitError> {
        let wanted = opener.wants::<ToolStart<'_>>();
        let inputs = self.inputs.filter(|_| wanted).map(Payload::into_cow);
        let event = wanted.then_some(ToolStart {
            serialized,
            input: self.input,
            inputs: inputs.as_deref(),
            tool_call_id: self.tool_call_id,
        });
        let tool_call_id = self.tool_call_id.map(str::to_owned);
        opener.open(Family::Tool { tool_call_id }, event).await
    }
}

impl<'a> opening::Sealed<'a> for Query<'a> {
    type Kind = Retriever;

    async fn start(
        self,
        serialized: Option<&'a Serialized>,
        opener: Opener,
    ) -> Result<RunGuard<Retriever>, EmitError> {
        let event = opener
            .wants::<RetrieverStart<'_>>()
            .then_some(RetrieverStart {
                serialized,
                query: self.query,
            });
        opener.open(Family::Retriever, event).await
    }
}
