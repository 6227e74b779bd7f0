//! CAR files: where they go to, and what their errors are in Python.

use crate::errors::{Class, Classify, raise, raise_io};
use medledger::core::follow::FollowError;
use medledger::ipfs::car::{CarError, CopyError, WriteError};
use medledger::{ExportError, Exported, ImportError};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// Where a file goes: a path, or a binary file object.
pub(crate) enum Target {
    Path(PathBuf),
    File(Py<PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Target {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if object.hasattr("write")? {
            return Ok(Self::File(object.to_owned().unbind()));
        }
        if !object.is_instance_of::<PyString>() && object.hasattr("__fspath__")? {
            return Ok(Self::Path(object.extract()?));
        }
        let found = object.get_type().name()?.to_string();
        Err(PyTypeError::new_err(format!(
            "expected an os.PathLike or a binary file object, found {found}: \
             wrap the name of a file in pathlib.Path(...)"
        )))
    }
}

impl Target {
    /// Has `export` write here. A file at a path is there when it is whole, or not at all.
    pub(crate) fn write(
        &self,
        export: impl FnOnce(&mut dyn Write) -> Result<Exported, ExportError>,
    ) -> PyResult<Exported> {
        let path = match self {
            Self::File(file) => {
                let object = Python::attach(|py| file.clone_ref(py));
                return export(&mut FileObject(object)).map_err(raise_export);
            }
            Self::Path(path) => path,
        };
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".partial-{}", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create_new(&partial).map_err(raise_io)?;
        let whole = export(&mut &file).map_err(raise_export).and_then(|exported| {
            file.sync_all().and_then(|()| std::fs::rename(&partial, path)).map_err(raise_io)?;
            Ok(exported)
        });
        if whole.is_err() {
            // The first failure is the one to tell.
            let _ = std::fs::remove_file(&partial);
        }
        whole
    }
}

/// A Python file object that takes bytes.
struct FileObject(Py<PyAny>);

impl Write for FileObject {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Python::attach(|py| {
            py.check_signals()?;
            let written = self.0.bind(py).call_method1("write", (PyBytes::new(py, bytes),))?;
            // Objects that always take all may return nothing.
            if written.is_none() { Ok(bytes.len()) } else { written.extract::<usize>() }
        })
        .map(|written| written.min(bytes.len()))
        .map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn raise_export(error: ExportError) -> PyErr {
    match error {
        ExportError::Write(WriteError::Io(error)) => raise_io(error),
        other => raise(other),
    }
}

pub(crate) fn raise_import(error: ImportError) -> PyErr {
    match error {
        ImportError::Car(CarError::Io(error)) => raise_io(error),
        ImportError::Spool { source, .. } => raise_io(source),
        other => raise(other),
    }
}

impl Classify for ExportError {
    fn class(&self) -> Class {
        match self {
            Self::UnknownReport(_) => Class::NotFound,
            Self::Report { source, .. } | Self::Write(source) => match source {
                WriteError::Store(error) => error.class(),
                WriteError::Io(_) => Class::Storage,
                _ => Class::Damaged,
            },
            Self::Store(error) => error.class(),
            _ => Class::Base,
        }
    }
}

impl Classify for ImportError {
    fn class(&self) -> Class {
        match self {
            Self::Car(CarError::Io(_)) | Self::Spool { .. } => Class::Storage,
            Self::Car(_) | Self::NotABlock { .. } | Self::Copy(CopyError::Dag(_)) => Class::Damaged,
            Self::UnknownReport { .. } => Class::NotFound,
            Self::JoinedBefore(_) | Self::NotAHospital { .. } => Class::Conflict,
            Self::OtherChain { .. } | Self::Forked { .. } => Class::Conflict,
            Self::Genesis(_) | Self::Checkpoint(_) | Self::NotFinal { .. } => Class::Damaged,
            Self::Follow(FollowError::Store(error)) | Self::Store(error) => error.class(),
            Self::Follow(_) => Class::Damaged,
            Self::Copy(CopyError::Store(error)) | Self::Blocks(error) => error.class(),
            Self::Create(error) => error.class(),
            Self::Open(error) => error.class(),
            _ => Class::Base,
        }
    }
}
