//! Stands in for what runs are about: payloads, events and their set.

/// A run, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunInfo(pub(crate) u64);

impl RunInfo {
    pub(crate) fn id(self) -> u64 {
        self.0
    }
}

/// A run that is not over, which nobody here asks for.
pub(crate) struct Live(pub(crate) RunInfo);

impl std::ops::Deref for Live {
    type Target = RunInfo;

    fn deref(&self) -> &RunInfo {
        &self.0
    }
}

#[derive(Debug)]
pub(crate) enum EmitError {
    RunClosed,
}

pub(crate) trait EventSet {
    type Owned;

    type Ref<'a>;

    fn view(event: &Self::Owned) -> Self::Ref<'_>;
    fn index(event: &Self::Ref<'_>) -> usize;
}

pub(crate) mod events {
    pub(crate) enum Events {}

    impl super::EventSet for Events {
        type Owned = owned::AnyEvent;
        type Ref<'a> = View<'a>;

        fn view(event: &owned::AnyEvent) -> View<'_> {
            View(event)
        }

        fn index(event: &View<'_>) -> usize {
            usize::from(*event.0 != owned::AnyEvent::Start)
        }
    }

    pub(crate) struct View<'a>(pub(crate) &'a owned::AnyEvent);

    pub(crate) mod owned {
        use crate::payload::ErrorKind;

        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum AnyEvent {
            Start,
            Text,
            End,
            Error(ErrorKind),
        }
    }
}

pub(crate) mod payload {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum ErrorKind {
        Dropped,
        Abandoned,
    }

    #[derive(Clone, Copy)]
    pub(crate) struct RunError(pub(crate) ErrorKind);

    impl RunError {
        pub(crate) fn new(_: &str) -> Self {
            Self(ErrorKind::Dropped)
        }

        pub(crate) fn with_kind(self, kind: ErrorKind) -> Self {
            Self(kind)
        }
    }
}
