pub(crate) fn child(_: &crate::child::Task) {}
