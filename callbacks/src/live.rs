//! What keeps a run from being over.

use std::ops::Deref;

use crate::RunInfo;

/// Held by whatever something may still come of in a run: it is open, or an event of it is on its way.
pub(crate) struct Live(RunInfo);

impl From<RunInfo> for Live {
    fn from(run: RunInfo) -> Self {
        run.hold();
        Self(run)
    }
}

impl Clone for Live {
    fn clone(&self) -> Self {
        self.0.clone().into()
    }
}

impl Deref for Live {
    type Target = RunInfo;

    fn deref(&self) -> &RunInfo {
        &self.0
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.let_go();
    }
}
