//! What is said: requests on their way to a server with the permit to go there, and what an agent is answered.

pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod cleared;
pub(crate) mod continuation;
pub(crate) mod fault;
pub(crate) mod modern;
pub(crate) mod outgoing;
pub(crate) mod principal;
