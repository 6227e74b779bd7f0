//! Many reports in one call. What they are comes from an iterable, one after the other, and so do the
//! exceptions that end it.

use crate::args::parse;
use crate::data::Source;
use crate::errors::{raise, raise_io};
use crate::results;
use crate::wait::interruptible;
use medledger::{
    Identity, MemberId, RecordId, Upload, UploadError, UploadOptions, Uploaded, WaitError,
    idempotency_key_of_part,
};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyTuple};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is asked for all of them.
pub(crate) struct Asked<'a> {
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) wait: bool,
    pub(crate) return_exceptions: bool,
}

/// The results as a list, or the exception that has them.
pub(crate) fn upload_many<'py>(
    py: Python<'py>,
    ledger: &medledger::Ledger,
    author: &Identity,
    uploads: &Bound<'py, PyAny>,
    asked: &Asked<'_>,
) -> PyResult<Bound<'py, PyList>> {
    if let Some(key) = asked.idempotency_key {
        idempotency_key_of_part(key, 1, "").map_err(raise)?;
    }
    let end = Arc::new(End::default());
    let mut given = Given {
        uploads: uploads.try_iter()?.unbind(),
        place: 0,
        key: asked.idempotency_key,
        end: Arc::clone(&end),
        refused: VecDeque::new(),
        taken: 0,
    };
    let outcomes = py.detach(|| ledger.upload_many(author, &mut given));

    // In the order they were given: those the service took, and between them those it never saw.
    let mut results: Vec<Result<Uploaded, PyErr>> = Vec::with_capacity(given.place as usize);
    let mut refused = std::mem::take(&mut given.refused);
    for (taken, outcome) in outcomes.into_iter().enumerate() {
        while refused.front().is_some_and(|(before, _)| *before <= taken) {
            results.extend(refused.pop_front().map(|(_, error)| Err(error)));
        }
        results.push(outcome.map_err(|error| match error {
            UploadError::Source(error) => raise_io(error),
            other => raise(other),
        }));
    }
    results.extend(refused.into_iter().map(|(_, error)| Err(error)));

    let records: Vec<RecordId> = results.iter().flatten().map(|one| one.record).collect();
    // A signal that came meanwhile would be raised as soon as we return, and the list be lost.
    let ended = end.taken().or_else(|| py.check_signals().err());
    let heights = Mutex::new(Vec::new());
    let waited = match asked.wait && ended.is_none() {
        false => Ok(()),
        true => interruptible(py, |control| {
            for record in &records {
                let height = ledger.wait_mined_with(record, control)?;
                lock(&heights).push(height);
            }
            Ok::<_, WaitError>(())
        }),
    };
    let heights = heights.into_inner().unwrap_or_else(PoisonError::into_inner);

    let list = PyList::empty(py);
    let (mut heights, mut failed) = (heights.into_iter(), 0);
    for result in results {
        match result {
            Ok(uploaded) => list.append(results::uploaded(py, uploaded, heights.next())?)?,
            Err(error) => {
                failed += 1;
                list.append(error.into_value(py))?;
            }
        }
    }
    if let Some(error) = ended.or(waited.err()) {
        error.value(py).setattr("result", list)?;
        let note = "what was accepted before is in the attribute `result` of this exception";
        error.value(py).call_method1("add_note", (note,))?;
        return Err(error);
    }
    if failed > 0 && !asked.return_exceptions {
        let class = py.import("medledger._errors")?.getattr("UploadManyError")?;
        return Err(PyErr::from_value(class.call1((list,))?));
    }
    Ok(list)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The exception that ends the call: Ctrl-C, or one that the iterable raised.
#[derive(Default)]
struct End {
    exception: Mutex<Option<PyErr>>,
    /// Whether not even what was given before is read any more.
    at_once: AtomicBool,
    /// Bytes read since signals were looked at.
    since_check: AtomicUsize,
}

impl End {
    fn taken(&self) -> Option<PyErr> {
        lock(&self.exception).take()
    }

    fn has_come(&self) -> bool {
        lock(&self.exception).is_some()
    }

    /// No more is asked for.
    fn with(&self, exception: PyErr) {
        lock(&self.exception).get_or_insert(exception);
    }

    /// No more is read, either.
    fn at_once(&self, exception: PyErr) {
        self.with(exception);
        self.at_once.store(true, Ordering::Relaxed);
    }
}

/// The uploads as the service takes them.
struct Given<'a> {
    uploads: Py<PyIterator>,
    /// How many the iterable gave.
    place: u64,
    key: Option<&'a str>,
    end: Arc<End>,
    /// Those with a value that cannot be, each with how many the service had taken before it.
    refused: VecDeque<(usize, PyErr)>,
    taken: usize,
}

impl Iterator for Given<'_> {
    type Item = Upload<'static>;

    fn next(&mut self) -> Option<Upload<'static>> {
        while !self.end.has_come() {
            if let Err(raised) = Python::attach(|py| py.check_signals()) {
                self.end.at_once(raised);
                break;
            }
            let next = Python::attach(|py| {
                let mut uploads = self.uploads.bind(py).clone();
                let Some(item) = uploads.next().transpose()? else { return Ok(None) };
                self.place += 1;
                let one = One::of(&item)?;
                Ok::<_, PyErr>(Some(one.upload(self.key, self.place, &self.end)))
            });
            match next {
                Ok(None) => return None,
                Ok(Some(Ok(upload))) => {
                    self.taken += 1;
                    return Some(upload);
                }
                Ok(Some(Err(error))) => self.refused.push_back((self.taken, error)),
                Err(raised) if is_exception(&raised) => self.end.with(raised),
                Err(raised) => self.end.at_once(raised),
            }
        }
        None
    }
}

/// A pair of patient and source, or a `medledger.Upload`.
struct One {
    patient: String,
    source: Source,
    file_name: Option<String>,
    media_type: String,
    note: String,
    idempotency_key: Option<String>,
}

impl One {
    fn of(item: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(pair) = item.cast::<PyTuple>()
            && pair.len() == 2
        {
            return Ok(Self {
                patient: pair.get_item(0)?.extract()?,
                source: pair.get_item(1)?.extract()?,
                file_name: None,
                media_type: String::new(),
                note: String::new(),
                idempotency_key: None,
            });
        }
        let class = item.py().import("medledger._types")?.getattr("Upload")?;
        if !item.is_instance(&class)? {
            let found = item.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "expected a pair of patient and source or a medledger.Upload, found {found}"
            )));
        }
        Ok(Self {
            patient: item.getattr("patient")?.extract()?,
            source: item.getattr("source")?.extract()?,
            file_name: item.getattr("file_name")?.extract()?,
            media_type: item.getattr("media_type")?.extract()?,
            note: item.getattr("note")?.extract()?,
            idempotency_key: item.getattr("idempotency_key")?.extract()?,
        })
    }

    fn upload(self, key: Option<&str>, place: u64, end: &Arc<End>) -> PyResult<Upload<'static>> {
        let patient: MemberId = parse("patient", &self.patient)?;
        let name = self.file_name.or_else(|| self.source.file_name()).unwrap_or_default();
        let part = |key| idempotency_key_of_part(key, place, &name).map_err(raise);
        let key = match self.idempotency_key {
            Some(own) => Some(own),
            None => key.map(part).transpose()?,
        };
        let mut options = UploadOptions::named(name, self.media_type);
        options.note = self.note;
        options.idempotency_key = key;
        let size = self.source.size();
        let source = Ending { source: self.source.into_reader(), end: Arc::clone(end) };
        let upload = Upload::new(patient, source).with(options);
        Ok(match size {
            Some(size) => upload.of_size(size),
            None => upload,
        })
    }
}

/// A source that is read no further once all is to end.
struct Ending {
    source: Box<dyn Read + Send>,
    end: Arc<End>,
}

impl Ending {
    /// Lets Ctrl-C end it, however small the reports are.
    fn check_signals(&self, read: usize) {
        const EVERY: usize = 16 << 20;
        if self.end.since_check.fetch_add(read, Ordering::Relaxed) + read < EVERY {
            return;
        }
        self.end.since_check.store(0, Ordering::Relaxed);
        if let Err(raised) = Python::attach(|py| py.check_signals()) {
            self.end.at_once(raised);
        }
    }

    /// An exception that is no `Exception` ends it all; another is this report's own.
    fn note(&self, error: &io::Error) {
        let raised = error.get_ref().and_then(|inner| inner.downcast_ref::<PyErr>());
        if let Some(raised) = raised.filter(|raised| !is_exception(raised)) {
            self.end.at_once(Python::attach(|py| raised.clone_ref(py)));
        }
    }
}

/// Whether it is no `KeyboardInterrupt` and the like, which are to end a program.
fn is_exception(raised: &PyErr) -> bool {
    Python::attach(|py| raised.is_instance_of::<PyException>(py))
}

impl Read for Ending {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.end.at_once.load(Ordering::Relaxed) {
            return Err(io::Error::other("not read: the upload of many was ended before"));
        }
        let read = self.source.read(buf);
        match &read {
            Ok(n) => self.check_signals(*n),
            Err(error) => self.note(error),
        }
        read
    }
}
