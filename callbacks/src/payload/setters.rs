//! How a payload's consuming `with_..` setters are written.

/// One setter per line: `with_field(field: argument type) = new value of the field;`.
macro_rules! setters {
    ($($setter:ident($field:ident: $argument:ty) = $value:expr;)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $setter(mut self, $field: $argument) -> Self {
            self.$field = $value;
            self
        }
    )*};
}

/// Setters that add to a map, one entry a call: `with_entry => map;`.
macro_rules! entries {
    ($($setter:ident => $map:ident;)*) => {$(
        #[doc = concat!("Adds an entry to [`", stringify!($map), "`](field@Self::", stringify!($map), ").")]
        #[must_use]
        pub fn $setter(
            mut self,
            key: impl Into<String>,
            value: impl Into<serde_json::Value>,
        ) -> Self {
            self.$map.insert(key.into(), value.into());
            self
        }
    )*};
}

pub(super) use {entries, setters};
