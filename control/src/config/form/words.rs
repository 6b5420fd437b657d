//! Words: one of a few, each with its meaning.

/// Makes an enum's variants the words of a key; the docs of schema and reference come from the list.
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr, $doc:literal;)* }) => {
        impl $crate::config::walk::Read for $type {
            fn kind() -> $crate::config::kind::Kind {
                $crate::config::kind::Kind::Words(&[$(($word, $doc)),*])
            }

            fn accepts(value: &::toml::de::DeValue<'_>) -> bool {
                value.is_str()
            }

            fn read(
                value: &$crate::config::document::Value<'_>,
                cx: &mut $crate::config::walk::Cx<'_>,
            ) -> Option<Self> {
                match value.get_ref().as_str() {
                    None => cx.wrong_type(value, &Self::kind()),
                    $(Some($word) => return Some($value),)*
                    Some(text) => {
                        let fault = $crate::config::form::Fault::new(format!(
                            "\"{}\" is not known here",
                            $crate::config::walk::quote(text)
                        ))
                        .meant(text, vec![$($word),*]);
                        let problem = fault.problem(value.span().into(), text, cx);
                        cx.push(problem);
                    }
                }
                None
            }
        }
    };
}
pub(in crate::config) use words;
