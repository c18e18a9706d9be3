//! What callbacks carry, found out by starting a run from them and another one in it.

use callbacks::{Callbacks, EmitError};
use serde_json::{Value, json};

use crate::scene::Scene;

/// What is there for a run, and what for those inside it.
pub(crate) struct Probe {
    pub(crate) own: Heard,
    pub(crate) inherited: Heard,
}

/// What a start was heard with, and by whom.
pub(crate) struct Heard {
    pub(crate) handlers: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Value,
}

impl Probe {
    /// Leaves no lines. Somebody has to listen.
    pub(crate) async fn of(callbacks: &Callbacks, scene: &Scene) -> Result<Self, EmitError> {
        assert!(scene.take().is_empty(), "a probe is taken in a quiet scene");
        let run = callbacks.chain_start(None, json!({})).await?;
        let own = Heard::take(scene);
        let child = run.callbacks().chain_start(None, json!({})).await?;
        let inherited = Heard::take(scene);
        child.end(json!({})).await?;
        run.end(json!({})).await?;
        scene.take();
        Ok(Self { own, inherited })
    }

    /// The handlers that are not handed on.
    pub(crate) fn local_handlers(&self) -> Vec<String> {
        without(&self.own.handlers, &self.inherited.handlers)
    }

    /// The tags that are not handed on.
    pub(crate) fn local_tags(&self) -> Vec<String> {
        without(&self.own.tags, &self.inherited.tags)
    }

    /// The metadata that is not handed on.
    pub(crate) fn local_metadata(&self) -> Value {
        let mut own = self.own.metadata.clone();
        if let (Some(own), Some(inherited)) =
            (own.as_object_mut(), self.inherited.metadata.as_object())
        {
            own.retain(|key, value| inherited.get(key) != Some(value));
        }
        own
    }
}

impl Heard {
    fn take(scene: &Scene) -> Self {
        let lines = scene.take();
        let lines = || lines.iter().filter(|line| line.enters("on_chain_start"));
        let columns = &lines().next().expect("somebody listens").columns;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tags = columns["tags"].as_array().into_iter().flatten();
        Self {
            handlers: lines().map(|line| text(&line.columns["handler"])).collect(),
            tags: tags.map(text).collect(),
            metadata: columns["payload"]["metadata"].clone(),
        }
    }
}

fn without(all: &[String], others: &[String]) -> Vec<String> {
    let rest = all.iter().filter(|one| !others.contains(one));
    rest.cloned().collect()
}
