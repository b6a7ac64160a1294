pub(crate) fn fill(_: &provost_store::Store, _: impl Fn(&str)) {}
