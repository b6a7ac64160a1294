//! `x-mcp-header`: arguments of a tool that its calls repeat in headers.

use hyper::header::{HeaderName, HeaderValue};
use provost_policy::json::{Kind, Value};

use super::sentinel;

const ANNOTATION: &str = "x-mcp-header";

/// Integers beyond are not the same number to every reader.
const SAFE: i64 = (1 << 53) - 1;

/// Schemas are followed this deep; deeper ones are nobody's arguments.
const DEEPEST: usize = 32;

/// The headers that one tool wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ToolHeaders(Vec<ToolHeader>);

/// One argument that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToolHeader {
    name: HeaderName,
    /// The keys that lead to the argument.
    path: Vec<String>,
    integer: bool,
}

/// An annotation that the specification does not allow: its tool is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid;

// === impl ToolHeaders ===

impl ToolHeaders {
    /// Reads the annotations of a tool's input schema.
    pub(crate) fn read(schema: Option<Value<'_>>) -> Result<Self, Invalid> {
        let mut headers = Self::default();
        // The name may be written with escapes; most schemas have neither.
        let may =
            |schema: &Value<'_>| schema.raw().contains(ANNOTATION) || schema.raw().contains('\\');
        if let Some(schema) = schema.filter(may) {
            headers.collect(schema, &mut Vec::new())?;
        }
        Ok(headers)
    }

    fn collect(&mut self, schema: Value<'_>, path: &mut Vec<String>) -> Result<(), Invalid> {
        if path.len() >= DEEPEST {
            return if annotated(schema) {
                Err(Invalid)
            } else {
                Ok(())
            };
        }
        for member in schema.members() {
            match member.name().as_ref() {
                "properties" if member.value.kind() == Kind::Object => {
                    for property in member.value.members() {
                        path.push(property.name().into_owned());
                        self.property(property.value, path)?;
                        path.pop();
                    }
                }
                // Below a property, it is the property's own.
                ANNOTATION if !path.is_empty() => {}
                // What an example or a default holds is data.
                "default" | "examples" | "enum" | "const" => {}
                ANNOTATION => return Err(Invalid),
                _ if annotated(member.value) => return Err(Invalid),
                _ => {}
            }
        }
        Ok(())
    }

    fn property(&mut self, schema: Value<'_>, path: &mut Vec<String>) -> Result<(), Invalid> {
        if let Some(annotation) = schema.get(ANNOTATION) {
            let name = annotation
                .as_str()
                .filter(|name| is_token(name))
                .ok_or(Invalid)?;
            let kind = schema.get("type").and_then(Value::as_str).ok_or(Invalid)?;
            if !matches!(kind.as_ref(), "string" | "integer" | "boolean") {
                return Err(Invalid);
            }
            let name = format!("mcp-param-{}", name.to_ascii_lowercase());
            let name: HeaderName = name.parse().map_err(|_| Invalid)?;
            if self.0.iter().any(|other| other.name == name) {
                return Err(Invalid);
            }
            let integer = kind == "integer";
            self.0.push(ToolHeader {
                name,
                path: path.clone(),
                integer,
            });
        }
        self.collect(schema, path)
    }

    /// All of them.
    pub(crate) fn headers(&self) -> &[ToolHeader] {
        &self.0
    }

    /// The headers of a call with these arguments.
    pub(crate) fn values<'a>(
        &'a self,
        arguments: Option<Value<'a>>,
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'a {
        self.0.iter().filter_map(move |header| {
            let text = text(header.argument(arguments)?)?;
            Some((header.name.clone(), sentinel::encode(&text)?))
        })
    }
}

// === impl ToolHeader ===

impl ToolHeader {
    pub(crate) fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The argument that is repeated, when it is there and can be: text, a
    /// truth value, or a number that every reader takes for the same.
    pub(crate) fn argument<'d>(&self, arguments: Option<Value<'d>>) -> Option<Value<'d>> {
        let mut value = arguments?;
        for key in &self.path {
            value = value.get(key)?;
        }
        text(value).map(|_| value)
    }

    /// Whether a header says the same as the argument.
    pub(crate) fn says(&self, value: Value<'_>, said: &str) -> bool {
        if text(value).is_some_and(|text| text == said) {
            return true;
        }
        let number = |text: &str| text.parse::<f64>().ok();
        self.integer
            && value.kind() == Kind::Number
            && is_decimal(said)
            && number(said).is_some_and(|said| number(value.raw()) == Some(said))
    }
}

/// The text of an argument in a header; `None` when it has none.
fn text(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::String => value.as_str().map(|text| text.into_owned()),
        Kind::Bool => Some(value.raw().to_owned()),
        Kind::Number => {
            if let Ok(number) = value.raw().parse::<i64>() {
                return (-SAFE..=SAFE).contains(&number).then(|| number.to_string());
            }
            let number = value.raw().parse::<f64>().ok()?;
            #[expect(clippy::cast_precision_loss, reason = "SAFE is exact in a float")]
            let safe = number.abs() <= SAFE as f64;
            // Display of a float without a fraction has no point, as in a header.
            safe.then(|| {
                if number == 0.0 {
                    "0".to_owned()
                } else {
                    number.to_string()
                }
            })
        }
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

/// Whether an annotation stands anywhere in a value.
fn annotated(value: Value<'_>) -> bool {
    value.get(ANNOTATION).is_some()
        || value.members().any(|member| annotated(member.value))
        || value.elements().any(annotated)
}

/// `-?\d+(\.\d+)?`
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// A token of RFC 9110.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
