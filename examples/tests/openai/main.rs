//! What a model over HTTP promises.
