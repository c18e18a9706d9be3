//! Starting a model: text or chat, handlers are asked about its conversations, one after another.

use std::borrow::{Borrow, Cow};

use super::asked::{Begun, Ruling};
use super::kinds::{Family, Llm};
use super::opener::Opener;
use crate::argument::Payload;
use crate::events::{ChatModelStart, Events, LlmEnd, LlmError, LlmRequest, LlmStart};
use crate::payload::{LlmResult, Message, ModelParams, Serialized, buffer_string};
use crate::{EmitError, Event};

/// What a model is given: prompts, or conversations.
pub(super) trait ModelInput: ToOwned<Owned: Send + Sync> + Send + Sync {
    /// The event of such a start.
    type Start<'e>: Event<Set = Events>
    where
        Self: 'e;

    /// It, as handlers are asked about it.
    fn conversations(&self) -> Cow<'_, [Vec<Message>]>;

    /// What they made of it.
    fn decided(conversations: Vec<Vec<Message>>) -> Self::Owned;

    fn start<'e>(
        &'e self,
        serialized: Option<&'e Serialized>,
        params: Option<&'e ModelParams>,
    ) -> Self::Start<'e>;
}

impl ModelInput for [String] {
    type Start<'e> = LlmStart<'e>;

    fn conversations(&self) -> Cow<'_, [Vec<Message>]> {
        let conversation = |prompt: &String| vec![Message::human(prompt.as_str())];
        self.iter().map(conversation).collect()
    }

    fn decided(conversations: Vec<Vec<Message>>) -> Vec<String> {
        let prompt = |messages: &Vec<Message>| match &**messages {
            [message] => message.text().into_owned(),
            messages => buffer_string(messages),
        };
        conversations.iter().map(prompt).collect()
    }

    fn start<'e>(
        &'e self,
        serialized: Option<&'e Serialized>,
        params: Option<&'e ModelParams>,
    ) -> LlmStart<'e> {
        LlmStart {
            serialized,
            prompts: self,
            params,
        }
    }
}

impl ModelInput for [Vec<Message>] {
    type Start<'e> = ChatModelStart<'e>;

    fn conversations(&self) -> Cow<'_, [Vec<Message>]> {
        Cow::Borrowed(self)
    }

    fn decided(conversations: Vec<Vec<Message>>) -> Vec<Vec<Message>> {
        conversations
    }

    fn start<'e>(
        &'e self,
        serialized: Option<&'e Serialized>,
        params: Option<&'e ModelParams>,
    ) -> ChatModelStart<'e> {
        ChatModelStart {
            serialized,
            messages: self,
            params,
        }
    }
}

impl Opener {
    /// Asks about a call of a model, opens its run, and emits its start.
    pub(super) async fn start_model<I: ModelInput + ?Sized>(
        mut self,
        serialized: Option<&Serialized>,
        input: impl Payload<I>,
        params: Option<impl Payload<ModelParams>>,
    ) -> Result<Begun<Llm, Option<I::Owned>>, EmitError> {
        let asks = self.wants::<LlmRequest<'_>>();
        let wanted = self.wants::<I::Start<'_>>();
        let input = (asks || wanted).then(|| input.into_cow());
        let params = self.params(asks || wanted, params);
        let params = params.as_deref();
        let (mut decided, mut ruling) = (None, Ruling::Go);
        if let Some(input) = input.as_deref().filter(|_| asks) {
            let batch = input.conversations();
            let (rewritten, ruled) = self.ask_about(serialized, &batch, params).await?;
            (decided, ruling) = (rewritten.map(I::decided), ruled);
        }
        let event = decided.as_ref().map(Borrow::borrow).or(input.as_deref());
        let event = event.filter(|_| wanted);
        let event = event.map(|input| input.start(serialized, params));
        let params = params.cloned().map(Box::new);
        let core = self.open(Family::Model { params }, event).await?;
        Ok(Begun {
            core,
            decided,
            ruling,
        })
    }

    /// How a model is called, if a handler will see it: with its start or its end.
    fn params<'p, M: Payload<ModelParams> + 'p>(
        &self,
        with_start: bool,
        params: Option<M>,
    ) -> Option<Cow<'p, ModelParams>> {
        let wanted = with_start || self.wants::<LlmEnd<'_>>() || self.wants::<LlmError<'_>>();
        params.filter(|_| wanted).map(Payload::into_cow)
    }

    /// Asks about each conversation for a model. Gives the batch if it is another now.
    async fn ask_about(
        &mut self,
        serialized: Option<&Serialized>,
        batch: &[Vec<Message>],
        params: Option<&ModelParams>,
    ) -> Result<(Option<Vec<Vec<Message>>>, Ruling<LlmResult>), EmitError> {
        let mut decided: Option<Vec<Vec<Message>>> = None;
        let mut ruling = Ruling::Go;
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
            ruling = match Ruling::of(settled, decided.is_some()) {
                Ruling::Go | Ruling::Rewritten if at + 1 < batch.len() => continue,
                Ruling::Answer(_) if batch.len() > 1 => Ruling::Stop(
                    "a handler answered for one conversation of a batch, which cannot be done"
                        .to_owned(),
                ),
                ruling => ruling,
            };
            // Nobody was asked about the others, so nobody sees them.
            if at + 1 < batch.len() {
                decided
                    .get_or_insert_with(|| batch.to_vec())
                    .truncate(at + 1);
            }
            break;
        }
        Ok((decided, ruling))
    }
}
