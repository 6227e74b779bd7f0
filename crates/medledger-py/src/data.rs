//! Bytes that come from Python: from an object in memory, a path, or a binary file object.

use crate::errors::raise_io;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBlockingIOError, PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyString};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Below so many bytes a call is done before another thread could use the interpreter.
const DETACH_FROM: usize = 2048;

/// Runs `work`, letting other Python threads run meanwhile unless it is over at once.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    bytes: usize,
    work: impl FnOnce() -> T + Send,
) -> T {
    if bytes < DETACH_FROM { work() } else { py.detach(work) }
}

/// The bytes of a bytes-like object. A `bytes` is used where it lies; whatever could change
/// meanwhile is copied.
pub(crate) enum Data {
    Shared(PyBackedBytes),
    Copied(Zeroizing<Vec<u8>>),
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Data {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Data {
    /// The bytes of `object`; `None` when it is not bytes-like.
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Some(Self::Shared(bytes.clone().into())));
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            return Ok(Some(Self::Copied(bytes.to_vec().into())));
        }
        // Some other object with a buffer: whatever its items are, its bytes are meant.
        let memoryview = object.py().import("builtins")?.getattr("memoryview")?;
        let view = match memoryview.call1((object,)) {
            Ok(view) => view,
            Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => return Ok(None),
            Err(error) => return Err(error),
        };
        let copied = match PyBuffer::<u8>::get(&view) {
            Ok(buffer) => buffer.to_vec(object.py())?,
            Err(_) => view.call_method0("tobytes")?.extract()?,
        };
        Ok(Some(Self::Copied(copied.into())))
    }
}

impl<'py> FromPyObject<'_, 'py> for Data {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Self::of(&object)?
            .ok_or_else(|| wrong_type("a bytes-like object", &object, "encode text first"))
    }
}

/// Where a report or a file comes from.
pub(crate) enum Source {
    Data(Data),
    Path(PathBuf),
    File(Py<PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Source {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let expected = "a bytes-like object, an os.PathLike or a binary file object";
        if object.is_instance_of::<PyString>() {
            let hint = "wrap the name of a file in pathlib.Path(...), or encode text first";
            return Err(wrong_type(expected, &object, hint));
        }
        if let Some(data) = Data::of(&object)? {
            return Ok(Self::Data(data));
        }
        if object.hasattr("read")? {
            return Ok(Self::File(object.to_owned().unbind()));
        }
        if object.hasattr("__fspath__")? {
            return Ok(Self::Path(object.extract()?));
        }
        Err(wrong_type(expected, &object, "open the file, or wrap its name in pathlib.Path(...)"))
    }
}

impl Source {
    /// The name of the file, where the source is one with a name.
    pub(crate) fn file_name(&self) -> Option<String> {
        let Self::Path(path) = self else { return None };
        path.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// How many bytes come, as far as that is known.
    pub(crate) fn known_len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            _ => usize::MAX,
        }
    }

    /// How many bytes come, if that can be told.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Data(data) => Some(data.len() as u64),
            Self::Path(path) => path.metadata().ok().map(|about| about.len()),
            Self::File(_) => None,
        }
    }

    /// A reader of it all, to be used detached, that has a file open only while it is read. It does not look
    /// at signals.
    pub(crate) fn into_reader(self) -> Box<dyn Read + Send> {
        match self {
            Self::Data(data) => Box::new(io::Cursor::new(data)),
            Self::Path(path) => Box::new(LateFile::Closed(path)),
            Self::File(object) => {
                Box::new(FileObject { object, held: None, at: 0, checks_signals: false })
            }
        }
    }

    /// A reader of it all, to be used detached.
    pub(crate) fn reader(&self) -> PyResult<Box<dyn Read + Send + '_>> {
        Ok(match self {
            Self::Data(data) => Box::new(&data[..]),
            Self::Path(path) => Box::new(Interruptible { source: open(path)?, since_check: 0 }),
            Self::File(file) => {
                let object = Python::attach(|py| file.clone_ref(py));
                Box::new(FileObject { object, held: None, at: 0, checks_signals: true })
            }
        })
    }
}

fn open(path: &Path) -> PyResult<File> {
    File::open(path).map_err(|error| {
        // As Python's `open` would, with the name of the file.
        let text = io::Error::from(error.kind()).to_string();
        match error.raw_os_error() {
            Some(number) => PyOSError::new_err((number, text, path.to_path_buf())),
            None => raise_io(error),
        }
    })
}

/// A file that is open only while it is read.
enum LateFile {
    Closed(PathBuf),
    Open(File),
    Ended,
}

impl Read for LateFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Self::Closed(path) = self {
            *self = Self::Open(open(path).map_err(io::Error::other)?);
        }
        let Self::Open(file) = self else { return Ok(0) };
        let n = file.read(buf)?;
        if n == 0 && !buf.is_empty() {
            *self = Self::Ended;
        }
        Ok(n)
    }
}

/// Lets Ctrl-C end the reading of a long file.
struct Interruptible {
    source: File,
    since_check: usize,
}

impl Read for Interruptible {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        const EVERY: usize = 16 << 20;
        let n = self.source.read(buf)?;
        self.since_check += n;
        if self.since_check >= EVERY {
            self.since_check = 0;
            Python::attach(|py| py.check_signals()).map_err(io::Error::other)?;
        }
        Ok(n)
    }
}

/// A Python file object, read a MiB at a time so that the interpreter is seldom needed.
struct FileObject {
    object: Py<PyAny>,
    held: Option<Data>,
    at: usize,
    checks_signals: bool,
}

impl Read for FileObject {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        const AT_ONCE: usize = 1 << 20;
        if buf.is_empty() {
            return Ok(0);
        }
        if self.held.as_ref().is_none_or(|held| self.at == held.len()) {
            self.held = None;
            // `other`, so that no exception is taken for one that asks to be tried again.
            let data = Python::attach(|py| self.next(py, AT_ONCE)).map_err(io::Error::other)?;
            self.held = Some(data);
            self.at = 0;
        }
        let left = self.held.as_ref().map_or(&[][..], |held| &held[self.at..]);
        let n = left.len().min(buf.len());
        buf[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }
}

impl FileObject {
    fn next(&self, py: Python<'_>, wanted: usize) -> PyResult<Data> {
        if self.checks_signals {
            py.check_signals()?;
        }
        let read = self.object.bind(py).call_method1("read", (wanted,))?;
        if read.is_none() {
            return Err(PyBlockingIOError::new_err(
                "the file object has no data now: it is non-blocking",
            ));
        }
        Data::of(&read)?.ok_or_else(|| {
            wrong_type("a file object that reads bytes", &read, "open the file in binary mode")
        })
    }
}

fn wrong_type(expected: &str, found: &Bound<'_, PyAny>, hint: &str) -> PyErr {
    let found = found.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("expected {expected}, found {found}: {hint}"))
}
