//! What a check of a record found.

use std::fmt;

/// What [`Recorder::balanced`](super::Recorder::balanced) or
/// [`Recorder::in_order`](super::Recorder::in_order) found: at least one problem. It is displayed
/// with a line for each.
///
/// ```
/// use callbacks::testing::Recorder;
/// use callbacks::{Callbacks, RunId, Serialized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static TOOL: Serialized = Serialized::new("Tool");
/// let recorder = Recorder::new();
/// let callbacks = Callbacks::new().with(recorder.clone());
/// let open = callbacks.tool_start(&TOOL, "1 + 1").id(7_u128).await?;
///
/// let problems = recorder.balanced().expect_err("the tool still runs");
/// let problem = "`Tool` (00000000-0000-0000-0000-000000000007) started with on_tool_start (#1) \
///     and never ended";
/// assert_eq!(problems.all(), [problem]);
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    pub(super) fn found(problems: Vec<String>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self(problems))
        }
    }

    /// Each of them, in words.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} problem{}", if count == 1 { "" } else { "s" })?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n    {problem}"))
    }
}

impl std::error::Error for Problems {}
