//! The models.

mod barriers;
mod lanes;
mod putting_off;
mod tasks;
