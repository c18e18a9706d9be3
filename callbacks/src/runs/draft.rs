//! A run before it is open: what is said about it, and where it will be.

use std::borrow::Cow;
use std::sync::Arc;

use super::kinds::Family;
use super::tree::{Node, Tree};
use crate::payload::RunKind;
use crate::{Callbacks, Live, RunId, RunInfo};

/// What is said about a run where it is started.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) origin: Callbacks,
    pub(super) id: Option<RunId>,
    pub(super) kind: RunKind,
    pub(super) name: Cow<'static, str>,
    /// Whether whoever starts it waits with a thread.
    pub(super) blocking: bool,
}

/// A run that is not open yet.
pub(super) struct Plan {
    pub(super) tree: Arc<Tree>,
    pub(super) info: Live,
}

impl Draft {
    pub(super) fn plan(&self) -> Plan {
        let parent = self.origin.run();
        let tree = parent.map_or_else(Tree::new, |parent| parent.tree.clone());
        let info = RunInfo::new(
            self.id,
            self.kind,
            self.name.clone(),
            self.origin.registry().labels().clone(),
            parent.map(|parent| parent.info.clone()),
        );
        Plan {
            tree,
            info: info.into(),
        }
    }

    /// Opens the run; the error is that the run around it is closed.
    pub(super) fn open(
        &self,
        Plan { tree, info }: Plan,
        family: Family,
        opened: impl FnOnce(&Arc<Node>),
    ) -> Result<Arc<Node>, Arc<Node>> {
        let registry = self.origin.registry();
        tree.open(self.origin.run(), registry, family, info, opened)
    }
}
