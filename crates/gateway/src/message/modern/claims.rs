//! What the headers of an HTTP request claim about its body.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use provost_policy::json::Value;

use super::{ToolHeaders, named_by, sentinel};
use crate::message::answer::Failure;
use crate::text::headers::{METHOD, NAME, PROTOCOL_VERSION};

/// The prefix of headers that repeat an argument.
const PARAM: &str = "mcp-param-";

/// The headers of a request that repeat what its body says.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) version: Header,
    method: Header,
    name: Header,
    params: Vec<(HeaderName, HeaderValue)>,
}

/// One header, which may be there once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Header {
    #[default]
    Absent,
    Once(String),
    /// More than one, or not decodable: it says nothing.
    Unclear,
}

// === impl Claims ===

impl Claims {
    /// Takes the claims out of a request's headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let params = headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(PARAM));
        Self {
            version: Header::of(headers, &PROTOCOL_VERSION),
            method: Header::of(headers, &METHOD),
            name: Header::of(headers, &NAME),
            params: params
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    /// Checks that the headers name this revision.
    pub(crate) fn names(&self, version: &str) -> Result<(), Failure> {
        self.version.must_be(version, "MCP-Protocol-Version")
    }

    /// Checks what every modern request repeats: its method, and what it names.
    pub(crate) fn agree(&self, method: &str, params: Option<Value<'_>>) -> Result<(), Failure> {
        self.method.must_be(method, "Mcp-Method")?;
        let name = named_by(method).and_then(|member| params?.get(member)?.as_str());
        match name {
            Some(name) => self.name.must_be(&name, "Mcp-Name"),
            None if self.name == Header::Unclear => Err(mismatch("Mcp-Name", "cannot be read")),
            None => Ok(()),
        }
    }

    /// Checks the arguments that a tool wants repeated in headers. A header that
    /// no annotation names says nothing.
    pub(crate) fn repeat(
        &self,
        tool: &ToolHeaders,
        arguments: Option<Value<'_>>,
    ) -> Result<(), Failure> {
        for header in tool.headers() {
            let mut said = self.params.iter().filter(|(name, _)| name == header.name());
            let (said, again) = (said.next(), said.next());
            let Some(value) = header.argument(arguments) else {
                continue;
            };
            let name = header.name().as_str();
            let (Some((_, said)), None) = (said, again) else {
                let problem = if again.is_some() {
                    "is there twice"
                } else {
                    "is missing"
                };
                return Err(mismatch(name, problem));
            };
            let said = sentinel::decode(said).ok_or_else(|| mismatch(name, "cannot be read"))?;
            if !header.says(value, &said) {
                return Err(mismatch(name, "differs from the argument it repeats"));
            }
        }
        Ok(())
    }
}

// === impl Header ===

impl Header {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => sentinel::decode(value).map_or(Self::Unclear, Self::Once),
            (Some(_), Some(_)) => Self::Unclear,
        }
    }

    fn must_be(&self, wanted: &str, name: &str) -> Result<(), Failure> {
        match self {
            Self::Once(said) if said == wanted => Ok(()),
            Self::Once(_) => Err(mismatch(name, "differs from the body")),
            Self::Absent => Err(mismatch(name, "is missing")),
            Self::Unclear => Err(mismatch(name, "cannot be read, or is there twice")),
        }
    }
}

fn mismatch(name: &str, problem: &str) -> Failure {
    Failure::header_mismatch(format!("header `{name}` {problem}"))
}
