pub(crate) fn hold(_: &crate::child::Task) {}
