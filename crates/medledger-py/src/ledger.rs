//! The class `Ledger`: one method a use case.

use crate::args::{KeyArgument, TimeArgument, key, parse, parse_some};
use crate::blocks;
use crate::cars::{Target, raise_import};
use crate::data::{Data, Source};
use crate::errors::{Class, raise, raise_io};
use crate::grants::{self, ReaderArgument, ScopeArgument, reader_key};
use crate::identity::Identity;
use crate::many::{self, Asked};
use crate::report::RawReport;
use crate::results;
use crate::rotation;
use crate::storage;
use crate::wait::{self, interruptible, wait_mined};
use medledger::core::padding::Padding;
use medledger::core::receipt::Receipt;
use medledger::core::store::RecordQuery;
use medledger::ipfs::collect::CollectOptions;
use medledger::{
    Contact, CreateOptions, Delegation, Difficulty, EngineChoice, MailSettings, Permission, Role,
    SourceSettings, SwitchOptions, UploadError, UploadOptions, VerifyDepth,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

type Any<'py> = Bound<'py, PyAny>;

/// A ledger in a folder, open for use.
///
/// One process at a time writes to a folder; others may open it for reading meanwhile. All methods may
/// be called from several threads. Use it in a `with` statement, or call `close`.
#[pyclass(frozen, module = "medledger")]
pub(crate) struct Ledger {
    folder: PathBuf,
    read_only: bool,
    chain: String,
    hospital: String,
    /// None once it is closed. Held for a moment only, never while calling Python or the service.
    open: Mutex<Option<Arc<medledger::Ledger>>>,
}

impl Ledger {
    fn new(ledger: medledger::Ledger, read_only: bool) -> Self {
        Self {
            folder: ledger.folder().to_path_buf(),
            read_only,
            chain: ledger.chain().to_string(),
            hospital: ledger.hospital().to_string(),
            open: Mutex::new(Some(Arc::new(ledger))),
        }
    }

    fn get(&self) -> PyResult<Arc<medledger::Ledger>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| Class::Closed.error("the ledger is closed: open it again"))
    }
}

fn unknown(what: &str, found: &str, known: &str) -> PyErr {
    Class::InvalidArgument.error(format!("unknown {what} {found:?}: one of {known}"))
}

fn contact(name: &str, email: Option<&str>) -> Contact {
    let contact = Contact::named(name);
    match email {
        Some(email) => contact.with_email(email),
        None => contact,
    }
}

#[pymethods]
impl Ledger {
    /// Make a ledger of one hospital in a folder, which must not exist or be empty, and open it.
    ///
    /// The hospital's identity is saved in the folder, locked with `password`:
    /// `ledger.unlock(ledger.hospital, password)` gives it. `mail` is "none" (access keys are handed to
    /// the caller, once) or "outbox" (letters become .eml files in the folder). `seconds_per_block` sets
    /// the difficulty so that this machine takes about so long; `engine` is "work" or "log" (no work).
    ///
    /// Raises InvalidArgumentError when the folder is not empty or a value cannot be, StorageError.
    #[staticmethod]
    #[pyo3(signature = (path, *, hospital, password, email = None, mail = "none",
        delivery = None, mail_qr = false, seconds_per_block = 1.0, engine = "work", padding = "padme"))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn create(
        py: Python<'_>,
        path: PathBuf,
        hospital: &str,
        password: &str,
        email: Option<&str>,
        mail: &str,
        delivery: Option<&str>,
        mail_qr: bool,
        seconds_per_block: f64,
        engine: &str,
        padding: &str,
    ) -> PyResult<Self> {
        let mut options = CreateOptions::new(hospital);
        options.hospital = contact(hospital, email);
        options.settings.mail = match mail {
            "none" => MailSettings::None,
            "outbox" => MailSettings::Outbox("outbox".into()),
            other => return Err(unknown("mail", other, "none, outbox")),
        };
        options.settings.delivery = match delivery {
            None => None,
            Some(mode) => {
                Some(mode.parse().map_err(|_| unknown("delivery", mode, "mail, pickup, caller"))?)
            }
        };
        options.settings.mail_qr = mail_qr;
        options.engine = match engine {
            "work" => EngineChoice::Work(Difficulty::AboutSeconds(seconds_per_block)),
            "log" => EngineChoice::Log,
            other => return Err(unknown("engine", other, "work, log")),
        };
        options.settings.padding = match padding {
            "padme" => Padding::Padme,
            "none" => Padding::None,
            other => return Err(unknown("padding", other, "padme, none")),
        };
        let made = py.detach(|| medledger::Ledger::create(path, options, password));
        made.map(|(ledger, _)| Self::new(ledger, false)).map_err(raise)
    }

    /// Open the ledger in a folder.
    ///
    /// Raises NotFoundError when there is none, InUseError while another process writes to it,
    /// ReadOnlyError when the folder cannot be written, DamagedError, UpdateNeededError, StorageError.
    #[staticmethod]
    #[pyo3(signature = (path, *, read_only = false))]
    fn open(py: Python<'_>, path: PathBuf, read_only: bool) -> PyResult<Self> {
        let opened = py.detach(|| {
            if read_only {
                medledger::Ledger::open_read_only(path)
            } else {
                medledger::Ledger::open(path)
            }
        });
        opened.map(|ledger| Self::new(ledger, read_only)).map_err(raise)
    }

    /// Close the ledger. Calls under way in other threads end first; the folder is free after that.
    fn close(&self, py: Python<'_>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(open));
    }

    fn __enter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        slf.borrow(py).get()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        let closed = if self.closed() { ", closed" } else { "" };
        let mode = if self.read_only { ", for reading" } else { "" };
        format!("<Ledger in {}{mode}{closed}>", self.folder.display())
    }

    /// The folder.
    #[getter]
    fn path(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Id of the chain: whoever knows it can check receipts.
    #[getter]
    fn chain(&self) -> &str {
        &self.chain
    }

    /// Id of the hospital that keeps this folder.
    #[getter]
    fn hospital(&self) -> &str {
        &self.hospital
    }

    /// Whether it was opened for reading only.
    #[getter]
    const fn read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Register a member who holds their own identity; returns a Registration.
    ///
    /// `hospital` is the hospital's identity. Raises RefusedError, for example when the member is
    /// registered already, and InvalidArgumentError for a name or address that cannot be.
    #[pyo3(signature = (hospital, member, role, name, *, email = None, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn register<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        member: &Identity,
        role: &str,
        name: &str,
        email: Option<&str>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, role) = (self.get()?, parse::<Role>("role", role)?);
        let contact = contact(name, email);
        let done =
            py.detach(|| ledger.register(&hospital.0, &member.0, role, &contact)).map_err(raise)?;
        wait_mined(py, &ledger, done.record, wait, |block| results::registration(py, &done, block))
    }

    /// Make an identity, lock it with `password` into the ledger's folder and register it; returns the
    /// Identity and a Registration.
    ///
    /// Raises as `register` does.
    #[pyo3(signature = (hospital, role, name, password, *, email = None, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn add_member<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        role: &str,
        name: &str,
        password: &str,
        email: Option<&str>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, role) = (self.get()?, parse::<Role>("role", role)?);
        let contact = contact(name, email);
        let (identity, done) = py
            .detach(|| ledger.add_member(&hospital.0, role, &contact, password))
            .map_err(raise)?;
        let identity = Bound::new(py, Identity(identity))?;
        wait_mined(py, &ledger, done.record, wait, |block| {
            let registration = results::registration(py, &done, block)?;
            Ok((&identity, registration).into_pyobject(py)?.into_any())
        })
    }

    /// Unlock the identity of a member whose locked identity lies in the ledger's folder.
    ///
    /// Raises NotFoundError when there is none, WrongPasswordError, DamagedError.
    fn unlock(&self, py: Python<'_>, member: &str, password: &str) -> PyResult<Identity> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        py.detach(|| ledger.unlock(&member, password)).map(Identity).map_err(raise)
    }

    /// Every member, by registration number, as a list of Member.
    fn members<'py>(&self, py: Python<'py>) -> PyResult<Vec<Any<'py>>> {
        let ledger = self.get()?;
        let members = py.detach(|| ledger.members()).map_err(raise)?;
        members.iter().map(|member| results::member(py, member)).collect()
    }

    /// Encrypt and store a report about a patient and accept its record; returns Uploaded.
    ///
    /// `source` is a bytes-like object, an os.PathLike or a binary file object, which is read to its end
    /// in constant memory. `file_name` is by default the name of the path. With the same
    /// `idempotency_key` the same request is done once and returns the first result. `wait` waits until
    /// the record is mined.
    ///
    /// Raises RefusedError when the author may not upload for this patient, ConflictError for an
    /// idempotency key used otherwise, InvalidArgumentError, StorageError, ReadOnlyError, and what
    /// reading `source` raises. When only the waiting fails, the exception's `result` is the Uploaded.
    #[pyo3(signature = (author, patient, source, *, file_name = None, media_type = "", note = "",
        idempotency_key = None, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn upload<'py>(
        &self,
        py: Python<'py>,
        author: &Identity,
        patient: &str,
        source: Source,
        file_name: Option<String>,
        media_type: &str,
        note: &str,
        idempotency_key: Option<String>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let name = file_name.or_else(|| source.file_name()).unwrap_or_default();
        let mut options = UploadOptions::named(name, media_type);
        note.clone_into(&mut options.note);
        options.idempotency_key = idempotency_key;
        let reader = source.reader()?;
        let done = py
            .detach(|| ledger.upload_with(&author.0, &patient, reader, &options))
            .map_err(|error| match error {
                UploadError::Source(error) => raise_io(error),
                other => raise(other),
            })?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| results::uploaded(py, done, block))
    }

    /// Upload many reports of one author in one call; returns a list of Uploaded, in their order.
    ///
    /// `uploads` is an iterable of pairs of patient and source, as `upload` takes them, or of
    /// medledger.Upload, which says more. Small reports are as fast as large ones so: they are sealed
    /// together, made durable together and accepted together, some hundreds at a time. The iterable is asked
    /// as they go, and files are open only while they are read.
    ///
    /// Each report is accepted or not for itself. If any was not, UploadManyError is raised in the end, and
    /// its `result` is the list, with an exception in each place where something failed; so the keys of the
    /// others are not lost. With `return_exceptions` that list is returned and nothing is raised for them.
    /// Only when the disk or the database fails, all after that fail with it.
    ///
    /// `idempotency_key` makes repeating the whole call harmless: each upload without a key of its own gets
    /// one made of this one, its place and its file name, the same as the command makes. `wait` waits until
    /// all are mined.
    ///
    /// What ends the call before its time (an exception of the iterable, an item of another type, a wait that
    /// fails) is raised as it is, with the list so far as its `result`. Ctrl-C also leaves out what was not
    /// read yet.
    #[pyo3(signature = (author, uploads, *, idempotency_key = None, wait = false,
        return_exceptions = false))]
    fn upload_many<'py>(
        &self,
        py: Python<'py>,
        author: &Identity,
        uploads: &Bound<'py, PyAny>,
        idempotency_key: Option<&str>,
        wait: bool,
        return_exceptions: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let asked = Asked { idempotency_key, wait, return_exceptions };
        many::upload_many(py, self.get()?.as_ref(), &author.0, uploads, &asked)
    }

    /// Ask the patient for permission to read a report; returns the id of the request.
    ///
    /// `purpose` is one of medledger.PURPOSES; `until` is text such as "30d" or
    /// "2026-11-22T14:04:45Z", an aware datetime, or a timedelta from now on.
    ///
    /// Raises RefusedError, for example while the same request waits already.
    #[pyo3(signature = (reader, report, *, purpose, until, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn request<'py>(
        &self,
        py: Python<'py>,
        reader: &Identity,
        report: &str,
        purpose: &str,
        until: TimeArgument,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let (purpose, until) = (parse("purpose", purpose)?, until.resolve(ledger.now())?);
        let id = py.detach(|| ledger.request(&reader.0, &report, purpose, until)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// The requests that wait for a patient's answer, as a list of Request.
    fn requests<'py>(&self, py: Python<'py>, patient: &str) -> PyResult<Vec<Any<'py>>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let requests = py.detach(|| ledger.requests(&patient)).map_err(raise)?;
        requests.iter().map(|request| results::request(py, request)).collect()
    }

    /// Approve a request; the reader gets a key of their own. Returns Approved.
    ///
    /// `access_key` is the patient's key to the report, an AccessKey or its text; without it the
    /// identity itself opens the report. `until` is as requested by default. `reader_key` is "access"
    /// (an access key is made for the reader) or "identity" (the reader's identity opens it).
    ///
    /// Raises NoAccessError for a wrong key and for a request that is not this patient's to answer alike,
    /// TooManyAttemptsError after too many of those, RefusedError.
    #[pyo3(signature = (patient, request, *, access_key = None, until = None,
        reader_key = "access", wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn approve<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        request: &str,
        access_key: Option<KeyArgument>,
        until: Option<TimeArgument>,
        reader_key: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, request) = (self.get()?, parse("request", request)?);
        let until = until.map(|until| until.resolve(ledger.now())).transpose()?;
        let reader_key = self::reader_key(reader_key)?;
        let key = key(access_key.as_ref());
        let done = py
            .detach(|| ledger.approve_with(&patient.0, &request, &key, reader_key, until))
            .map_err(raise)?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| grants::approved(py, done, None, block))
    }

    /// Refuse a request; returns the id of the record.
    ///
    /// Raises RefusedError for a request that is not this patient's to answer.
    #[pyo3(signature = (patient, request, *, wait = false))]
    fn refuse<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        request: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, request) = (self.get()?, parse("request", request)?);
        let id = py.detach(|| ledger.refuse(&patient.0, &request)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// Permit a reader unasked; returns Approved. Arguments and exceptions as for `approve`.
    ///
    /// `scope` is the id of a report, several ids, or a medledger.Collection: all of the patient's reports at a
    /// hospital, present and future. `reader` is the id of a member, or a medledger.Group, whose members open
    /// with their identities. `delegable` is how many times it may be passed on. An access key opens one report:
    /// all else takes the identity, InvalidArgumentError otherwise.
    #[pyo3(signature = (patient, scope, reader, *, purpose, until, access_key = None,
        reader_key = "access", delegable = 0, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn share<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        scope: ScopeArgument,
        reader: ReaderArgument,
        purpose: &str,
        until: TimeArgument,
        access_key: Option<KeyArgument>,
        reader_key: &str,
        delegable: u8,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let (purpose, until) = (parse("purpose", purpose)?, until.resolve(ledger.now())?);
        let permission = Permission::new(scope.0, reader.0, purpose, until).delegable(delegable);
        let reader_key = self::reader_key(reader_key)?;
        let key = key(access_key.as_ref());
        let done =
            py.detach(|| ledger.share(&patient.0, permission, &key, reader_key)).map_err(raise)?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| grants::approved(py, done, None, block))
    }

    /// Pass a permission on, where the patient said it may be; returns Approved.
    ///
    /// `holder` is whom the grant names, `access_key` what they open it with. `scope` is a part of what it
    /// covers, `until` an earlier end; by default all of it. It ends with the grant it came from, and the
    /// patient or `holder` can revoke it. Raises RefusedError when it would be wider than the grant.
    #[pyo3(signature = (holder, grant, reader, *, scope = None, until = None, access_key = None,
        reader_key = "access", delegable = 0, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn delegate<'py>(
        &self,
        py: Python<'py>,
        holder: &Identity,
        grant: &str,
        reader: ReaderArgument,
        scope: Option<ScopeArgument>,
        until: Option<TimeArgument>,
        access_key: Option<KeyArgument>,
        reader_key: &str,
        delegable: u8,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, id) = (self.get()?, parse("grant", grant)?);
        let mut delegation = Delegation::to(reader.0);
        delegation.scope = scope.map(|scope| scope.0);
        delegation.until = until.map(|until| until.resolve(ledger.now())).transpose()?;
        delegation.delegate = delegable;
        delegation.reader_key = self::reader_key(reader_key)?;
        let key = key(access_key.as_ref());
        let done =
            py.detach(|| ledger.delegate(&holder.0, &id, &key, delegation)).map_err(raise)?;
        let (record, parent) = (done.record, id.to_string());
        wait_mined(py, &ledger, record, wait, |block| {
            grants::approved(py, done, Some(&parent), block)
        })
    }

    /// Every group, as a list of Group.
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Vec<Any<'py>>> {
        grants::groups(py, self.get()?.as_ref())
    }

    /// Make a group of doctors and nurses; returns Group. Its name stays here.
    ///
    /// Raises InvalidArgumentError for a name that cannot be, RefusedError for members who do not read.
    #[pyo3(signature = (hospital, name, members, *, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn create_group<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        name: &str,
        members: Vec<String>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        grants::create(py, ledger.as_ref(), &hospital.0, Ok((name, &members)), wait)
    }

    /// Make the group of everyone of a role at the hospital, now and later; returns Group.
    ///
    /// Raises RefusedError when there is one already, or the role does not read.
    #[pyo3(signature = (hospital, role, *, wait = false))]
    fn create_role_group<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        role: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, role) = (self.get()?, parse::<Role>("role", role)?);
        grants::create(py, ledger.as_ref(), &hospital.0, Err(role), wait)
    }

    /// Let members join and leave a group; returns Group as it is then.
    ///
    /// Who leaves is refused what was granted to the group; with `fresh` it gets a new key though nobody leaves.
    #[pyo3(signature = (hospital, group, *, join = Vec::new(), leave = Vec::new(), fresh = false, wait = false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn change_group<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        group: ReaderArgument,
        join: Vec<String>,
        leave: Vec<String>,
        fresh: bool,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let changes = (&join[..], &leave[..], fresh);
        grants::change(py, ledger.as_ref(), &hospital.0, &group.0, changes, wait)
    }

    /// Put a report under a new key, for the patient and all whose permissions are live; returns Rotated.
    ///
    /// It takes effect when the hospital confirms: `confirm_rotations`. `access_key` is the patient's, if not
    /// the identity opens the report.
    #[pyo3(signature = (patient, report, *, access_key = None, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn rotate<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        rotation::rotate(py, ledger.as_ref(), &patient.0, &[report], &key, wait)?.get_item(0)
    }

    /// Note reports to be rotated later by `rotate_marked`; returns how many.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn mark_for_rotation(
        &self,
        py: Python<'_>,
        patient: &Identity,
        scope: ScopeArgument,
    ) -> PyResult<usize> {
        let ledger = self.get()?;
        py.detach(|| ledger.mark_for_rotation(&patient.0, &scope.0)).map_err(raise)
    }

    /// The ids of a patient's reports that are marked to be rotated.
    fn marked_for_rotation(&self, py: Python<'_>, patient: &str) -> PyResult<Vec<String>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let marked = py.detach(|| ledger.marked_for_rotation(&patient)).map_err(raise)?;
        Ok(marked.iter().map(ToString::to_string).collect())
    }

    /// Rotate what is marked, at most `limit` reports; returns a list of Rotated.
    ///
    /// What was interrupted goes on with the next call. When a report fails, the exception's `result` is the list
    /// so far.
    #[pyo3(signature = (patient, *, limit = None, wait = false))]
    fn rotate_marked<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        limit: Option<usize>,
        wait: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let ledger = self.get()?;
        let marked = py.detach(|| ledger.marked_for_rotation(&patient.0.id())).map_err(raise)?;
        let now = &marked[..marked.len().min(limit.unwrap_or(usize::MAX))];
        rotation::rotate(py, ledger.as_ref(), &patient.0, now, &medledger::Key::Identity, wait)
    }

    /// As the hospital: compare old and new content of each rotation that waits, and confirm those that hold the
    /// same; returns a list of Confirmation. One that differs is not confirmed and has no effect.
    #[pyo3(signature = (hospital, *, wait = false))]
    fn confirm_rotations<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        wait: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let ledger = self.get()?;
        rotation::confirm(py, ledger.as_ref(), &hospital.0, wait)
    }

    /// Move a patient's collection at a hospital (by default this one) to its next key; returns the id of the
    /// record. All who hold a live permission on the collection are given that key.
    #[pyo3(signature = (patient, hospital = None, *, wait = false))]
    fn renew_collection<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        hospital: Option<&str>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let hospital = parse_some("hospital", hospital)?.unwrap_or_else(|| ledger.hospital());
        let id = py.detach(|| ledger.renew_collection(&patient.0, &hospital)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// Ask the custodian of a report for its wrapped key, from a copy of the ledger without it; returns
    /// SlotRequest, whose `data` is to be carried there within 15 minutes.
    #[pyo3(signature = (reader, report, *, access_key = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn ask_for_slot<'py>(
        &self,
        py: Python<'py>,
        reader: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        let ask = py.detach(|| ledger.ask_for_slot(&reader.0, &report, &key)).map_err(raise)?;
        rotation::ask(py, &ask)
    }

    /// As the custodian: record the reading, then give the slot, sealed to its reader, for `open_report`.
    ///
    /// Raises NoAccessError, ExpiredError for an old request, DamagedError.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn release_slot<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        request: Data,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let ledger = self.get()?;
        let release = py.detach(|| ledger.release_slot(&hospital.0, &request)).map_err(raise)?;
        Ok(PyBytes::new(py, &release))
    }

    /// Open a report, for its patient or for a reader with a live permission; returns OpenedReport, a
    /// binary file. The reading is recorded before anything is decrypted.
    ///
    /// `access_key` is the key this person got, an AccessKey or its text; without it the identity itself
    /// is the key. With `slot`, what its custodian released, the reading is recorded there already.
    ///
    /// Raises AccessError: NoAccessError, TooManyAttemptsError, ExpiredError, RevokedError, NotMinedError.
    /// Raises DamagedError when stored bytes are not what the ledger names.
    #[pyo3(signature = (reader, report, *, access_key = None, slot = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn open_report<'py>(
        &self,
        py: Python<'py>,
        reader: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
        slot: Option<Data>,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        let opened = py.detach(|| match &slot {
            Some(slot) => ledger.open_released(&reader.0, &report, &key, slot),
            None => ledger.open_report(&reader.0, &report, &key),
        });
        let opened = opened.map_err(raise)?;
        let file = py.import("medledger._report")?.getattr("OpenedReport")?;
        file.call1((RawReport::new(opened),))
    }

    /// Take a permission back; returns the id of the record. Nothing new opens from now on.
    ///
    /// Raises RefusedError when it is somebody else's or revoked already.
    #[pyo3(signature = (patient, grant, *, wait = false))]
    fn revoke<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        grant: &str,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, grant) = (self.get()?, parse("grant", grant)?);
        let id = py.detach(|| ledger.revoke(&patient.0, &grant)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// Make a new key for a patient's own report in place of one that was lost, which opens nothing any
    /// more; returns Renewed. Without `access_key`, the old one, the identity is the key.
    ///
    /// Raises as `approve` does.
    #[pyo3(signature = (patient, report, *, access_key = None))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn renew_key<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        report: &str,
        access_key: Option<KeyArgument>,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let key = key(access_key.as_ref());
        let done = py.detach(|| ledger.renew_key(&patient.0, &report, &key)).map_err(raise)?;
        results::renewed(py, done)
    }

    /// Give the reader of a permission a new key in place of one that was lost: it is taken back and given
    /// anew; returns Approved. Raises as `approve` does.
    #[pyo3(signature = (patient, grant, *, access_key = None, wait = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn renew_grant_key<'py>(
        &self,
        py: Python<'py>,
        patient: &Identity,
        grant: &str,
        access_key: Option<KeyArgument>,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let (ledger, grant) = (self.get()?, parse("grant", grant)?);
        let key = key(access_key.as_ref());
        let done = py.detach(|| ledger.renew_grant_key(&patient.0, &grant, &key)).map_err(raise)?;
        let record = done.record;
        wait_mined(py, &ledger, record, wait, |block| grants::approved(py, done, None, block))
    }

    /// The keys that wait for a member, each shown this once, as a list of PickedUp.
    fn pick_up<'py>(&self, py: Python<'py>, owner: &Identity) -> PyResult<Vec<Any<'py>>> {
        let ledger = self.get()?;
        let keys = py.detach(|| ledger.pick_up(&owner.0)).map_err(raise)?;
        keys.into_iter().map(|key| results::picked_up(py, key)).collect()
    }

    /// Who saw a patient's reports, when and for which purpose, oldest first, as a list of Access.
    #[pyo3(signature = (patient, *, offset = 0, limit = 0))]
    fn accesses<'py>(
        &self,
        py: Python<'py>,
        patient: &str,
        offset: usize,
        limit: usize,
    ) -> PyResult<Vec<Any<'py>>> {
        let (ledger, patient) = (self.get()?, parse("patient", patient)?);
        let found = py.detach(|| ledger.accesses(&patient, offset, limit)).map_err(raise)?;
        found.iter().map(|access| results::access(py, access)).collect()
    }

    /// Sign how far the hospital's audit log has come, as a record; returns its id.
    ///
    /// Raises DamagedError when the log was altered, InvalidArgumentError for another identity.
    #[pyo3(signature = (hospital, *, wait = false))]
    fn digest_audit<'py>(
        &self,
        py: Python<'py>,
        hospital: &Identity,
        wait: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let id = py.detach(|| ledger.digest_audit(&hospital.0)).map_err(raise)?;
        wait_mined(py, &ledger, id, wait, |_| Ok(id.to_string().into_pyobject(py)?.into_any()))
    }

    /// Recompute the hospital's audit log and compare it with its digests on the chain; returns AuditReport.
    fn verify_audit<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.verify_audit()).map_err(raise)?;
        results::audited(py, &report)
    }

    /// The reports a member is party to, as a list of Report.
    fn reports<'py>(&self, py: Python<'py>, member: &str) -> PyResult<Vec<Any<'py>>> {
        let (ledger, member) = (self.get()?, parse("member", member)?);
        let reports = py.detach(|| ledger.reports(&member)).map_err(raise)?;
        reports.iter().map(|report| results::report(py, report)).collect()
    }

    /// The records that match, oldest first, as a list of LogEntry. `limit` 0 stands for no limit.
    ///
    /// `since` and `until` are text such as "2026-11-22T14:04:45Z" or aware datetimes: records of `since` or
    /// later, and before `until`.
    #[pyo3(signature = (*, kind = None, author = None, patient = None, report = None, since = None,
        until = None, limit = 0, offset = 0))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn log<'py>(
        &self,
        py: Python<'py>,
        kind: Option<&str>,
        author: Option<&str>,
        patient: Option<&str>,
        report: Option<&str>,
        since: Option<TimeArgument>,
        until: Option<TimeArgument>,
        limit: usize,
        offset: usize,
    ) -> PyResult<Vec<Any<'py>>> {
        let ledger = self.get()?;
        let query = RecordQuery {
            kind: parse_some("kind", kind)?,
            author: parse_some("author", author)?,
            patient: parse_some("patient", patient)?,
            report: parse_some("report", report)?,
            since: since.map(|since| since.resolve(ledger.now())).transpose()?,
            until: until.map(|until| until.resolve(ledger.now())).transpose()?,
            limit,
            offset,
        };
        let entries = py.detach(|| ledger.log(&query)).map_err(raise)?;
        entries.iter().map(|entry| results::log_entry(py, entry)).collect()
    }

    /// Mine one block of waiting records; returns a Block, or None when none waits.
    ///
    /// `empty` makes a block even then. Ctrl-C ends the search; records go on waiting.
    #[pyo3(signature = (*, empty = false))]
    fn mine<'py>(&self, py: Python<'py>, empty: bool) -> PyResult<Option<Any<'py>>> {
        let ledger = self.get()?;
        let mined = interruptible(py, |control| ledger.mine_with(control, empty))?;
        mined.map(|block| results::block(py, &block)).transpose()
    }

    /// Mine until a record is in a block; returns that block's height.
    ///
    /// Raises NotFoundError for an unknown record, RefusedError when it could no longer take effect.
    fn wait(&self, py: Python<'_>, record: &str) -> PyResult<u64> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        interruptible(py, |control| ledger.wait_mined_with(&record, control))
    }

    /// How far a record has come; returns Progress.
    ///
    /// Its stage is "unknown" for a record this ledger does not have.
    fn progress<'py>(&self, py: Python<'py>, record: &str) -> PyResult<Any<'py>> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        wait::progress(py, &ledger, &record)
    }

    /// Wait until a record has come to `stage`: "accepted", "mined" or "final"; returns Progress.
    ///
    /// It returns early when the record is refused, and after `timeout` seconds wherever the record stands
    /// then. Nothing is mined here: other threads do, or other processes while the ledger is open for
    /// reading only. Ctrl-C ends it.
    ///
    /// Raises InvalidArgumentError for another stage, or a timeout that is negative or not finite.
    #[pyo3(signature = (record, *, stage = "final", timeout = 60.0))]
    fn wait_for<'py>(
        &self,
        py: Python<'py>,
        record: &str,
        stage: &str,
        timeout: f64,
    ) -> PyResult<Any<'py>> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        wait::wait_for(py, &ledger, &record, stage, timeout)
    }

    /// How many accepted records wait to be mined.
    fn waiting(&self, py: Python<'_>) -> PyResult<u64> {
        let ledger = self.get()?;
        py.detach(|| ledger.waiting()).map_err(raise)
    }

    /// Try to send every letter that waits; returns MailReport.
    fn send_mail<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.send_mail()).map_err(raise)?;
        results::mail(py, &report)
    }

    /// Check this copy from its first block on; returns VerifyReport, whose findings tell what is wrong.
    ///
    /// Without `full`, only headers and the roots in them; with it, the chain is replayed with every signature,
    /// and the ciphertext of every report hashed.
    #[pyo3(signature = (*, full = true))]
    fn verify<'py>(&self, py: Python<'py>, full: bool) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let depth = if full { VerifyDepth::Full } else { VerifyDepth::Headers };
        let report = py.detach(|| ledger.verify(depth)).map_err(raise)?;
        results::verified(py, &report)
    }

    /// Copy the ledger into a folder that is empty or not there, while it may be written to; returns Backup.
    ///
    /// The node key is not in it: keep it elsewhere. Raises StorageError and leaves nothing when it fails.
    fn backup<'py>(&self, py: Python<'py>, to: PathBuf) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done = py.detach(|| ledger.backup(to, &mut |_, _| {})).map_err(raise)?;
        results::backup(py, &done)
    }

    /// Drop the records of final blocks but of the newest `keep` ones, for good; returns Pruned.
    ///
    /// Headers, the state, and own records with what their receipts need stay. After that the chain can no longer
    /// be replayed or exported from here. Raises InvalidArgumentError when `keep` is less than 10.
    #[pyo3(signature = (*, keep))]
    fn prune<'py>(&self, py: Python<'py>, keep: u64) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done = py.detach(|| ledger.prune(keep)).map_err(raise)?;
        results::pruned(py, &done)
    }

    /// Where ciphertext lies, and how far behind the node is; returns StorageStatus.
    fn storage<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        storage::status(py, &self.get()?.storage())
    }

    /// Move all ciphertext, read it back and hash it there, then use the new place; returns MovedStorage.
    ///
    /// `mode` is "embedded" (the ledger's folder), "kubo" (a Kubo node) or "both"; `kubo` is the address of the
    /// node's RPC. A node that would announce reports is refused unless `public`. `free` removes everything from
    /// the old place afterwards. Raises InUseError while another thread uses the ledger, DamagedError when
    /// something is not whole, StorageError; the ledger stays where it was then.
    #[pyo3(signature = (mode, *, kubo = None, public = false, free = false))]
    fn use_storage<'py>(
        &self,
        py: Python<'py>,
        mode: &str,
        kubo: Option<String>,
        public: bool,
        free: bool,
    ) -> PyResult<Any<'py>> {
        let to = storage::settings(mode, kubo, public)?;
        let ledger = self.get()?;
        let ours = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ours);
        // Ours was the last but this one, unless somebody is at work.
        let ledger = match Arc::try_unwrap(ledger) {
            Ok(ledger) => ledger,
            Err(shared) => {
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
                let text = "the ledger is in use: wait for other calls, and let opened reports go";
                return Err(Class::InUse.error(text));
            }
        };
        let mut options = SwitchOptions::default();
        options.free = free;
        let folder = self.folder.clone();
        let (moved, opened) = py.detach(|| {
            let moved = ledger.switch_storage(to, options, &mut |_, _| {});
            (moved, medledger::Ledger::open(folder))
        });
        match opened {
            Ok(ledger) => {
                let ledger = Some(Arc::new(ledger));
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = ledger;
            }
            Err(error) => {
                moved.map_err(raise)?;
                return Err(raise(error));
            }
        }
        storage::switched(py, &moved.map_err(raise)?)
    }

    /// Give the node what it missed while it was away; returns SyncedStorage.
    ///
    /// With `compare`, everything that is kept is looked at, not only what is noted as missing. Raises
    /// StorageError when the node cannot follow.
    #[pyo3(signature = (*, compare = false))]
    fn sync_storage<'py>(&self, py: Python<'py>, compare: bool) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done = py.detach(|| ledger.catch_up_storage(compare)).map_err(raise)?;
        storage::caught_up(py, &done)
    }

    /// What is kept in the store of ciphertext, and why; returns a tuple of Pin.
    fn pins<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let pins = py.detach(|| ledger.pins()).map_err(raise)?;
        blocks::pins(py, &pins)
    }

    /// Hash every block again and walk all that is kept; returns BlockCheck, which tells what is wrong.
    fn check_blocks<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let check = py.detach(|| ledger.check_blocks()).map_err(raise)?;
        blocks::checked(py, &check)
    }

    /// Remove blocks that nothing keeps, such as those of uploads that failed; returns CollectedBlocks.
    ///
    /// `dry_run` only tells what would be removed. Raises DamagedError, and removes nothing, when nodes
    /// that are kept cannot be read; `force` goes on, and removes what hangs on those alone.
    #[pyo3(signature = (*, dry_run = false, force = false))]
    fn collect_blocks<'py>(
        &self,
        py: Python<'py>,
        dry_run: bool,
        force: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let options = if dry_run { CollectOptions::dry_run() } else { CollectOptions::default() };
        let options = if force { options.forced() } else { options };
        let done = py.detach(|| ledger.collect_blocks(options)).map_err(raise)?;
        blocks::collected(py, &done)
    }

    /// Fetch damaged and missing blocks from another store, each verified; returns RepairedBlocks.
    ///
    /// `source` is another ledger's folder, a Kubo repository or a folder of blocks; the URL of a trustless gateway;
    /// "kubo" for the ledger's own node; "sources" for all of them. It is only read.
    fn repair_blocks<'py>(&self, py: Python<'py>, source: PathBuf) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        storage::repair(py, &ledger, source)
    }

    /// Gateways that are asked, in order, for blocks that are missing or damaged here; returns a dict of addresses
    /// by name.
    fn sources<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        storage::sources(py, &ledger)
    }

    /// Add a trustless gateway, to be asked after those that are there, from the next opening of the ledger on.
    ///
    /// Its credentials come from the environment: MEDLEDGER_AUTH_ and the name in capitals. Raises
    /// InvalidArgumentError for a name that is taken, or what is no name or address.
    fn add_source(&self, py: Python<'_>, name: String, address: String) -> PyResult<()> {
        let (ledger, source) = (self.get()?, SourceSettings { name, address });
        py.detach(|| ledger.add_source(source)).map_err(raise)
    }

    /// Ask a gateway no more. Raises NotFoundError when there is none of that name.
    fn remove_source(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let ledger = self.get()?;
        py.detach(|| ledger.remove_source(name)).map_err(raise)
    }

    /// Add somebody who is to keep reports: an IPFS Cluster, by the URL of a peer's REST interface, or a pinning
    /// service, by its URL. Nothing is sent yet.
    ///
    /// Credentials come from the environment: MEDLEDGER_AUTH_ and the name in capitals. `public` has to be said of
    /// all that are not known to announce nothing. With `gateway`, one of this keeper alone, checks read blocks.
    #[pyo3(signature = (name, *, cluster = None, service = None, public = false, gateway = None))]
    fn add_replica_keeper(
        &self,
        py: Python<'_>,
        name: String,
        cluster: Option<String>,
        service: Option<String>,
        public: bool,
        gateway: Option<String>,
    ) -> PyResult<()> {
        let keeper = storage::keeper(name, cluster, service, public, gateway)?;
        let ledger = self.get()?;
        py.detach(|| ledger.add_replica_keeper(keeper)).map_err(raise)
    }

    /// Ask somebody no more to keep reports; they are not told. Raises NotFoundError for an unknown name.
    fn remove_replica_keeper(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let ledger = self.get()?;
        py.detach(|| ledger.remove_replica_keeper(name)).map_err(raise)
    }

    /// Ask those who were asked to keep reports whether they still do; returns ReplicaReport.
    fn check_replicas<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.check_replicas()).map_err(raise)?;
        storage::replicas(py, &report)
    }

    /// Check, then ask for what is short: new reports, and what somebody forgot; returns ReplicaReport.
    fn repair_replicas<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.repair_replicas()).map_err(raise)?;
        storage::replicas(py, &report)
    }

    /// How often reading a block of ciphertext was spared by the cache; returns CacheStats.
    fn cache_stats<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        blocks::cache(py, &self.get()?.cache_stats())
    }

    /// The receipt of a record: proof, checkable offline, that it is in this chain.
    ///
    /// `format` is "dag-cbor" or "tlog-proof", the text of c2sp.org/tlog-proof. Raises NotFoundError for an
    /// unknown record, ReceiptError when it is not yet final.
    #[pyo3(signature = (record, *, format = "dag-cbor"))]
    fn receipt<'py>(
        &self,
        py: Python<'py>,
        record: &str,
        format: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (ledger, record) = (self.get()?, parse("record", record)?);
        let text = match format {
            "dag-cbor" => false,
            "tlog-proof" => true,
            _ => {
                let text = format!("format must be dag-cbor or tlog-proof, found {format:?}");
                return Err(Class::InvalidArgument.error(text));
            }
        };
        let receipt = py.detach(|| ledger.receipt(&record)).map_err(raise)?;
        let bytes = if text {
            receipt.to_tlog_proof().map_err(raise)?.into_bytes()
        } else {
            Receipt::encode(&receipt)
        };
        Ok(PyBytes::new(py, &bytes))
    }

    /// Write a report's ciphertext as a CAR file; it opens only with a key and a permission.
    ///
    /// `target` is an os.PathLike or a binary file object. Returns Exported. Raises NotFoundError for
    /// an unknown report, DamagedError when its blocks are not whole.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn export_report<'py>(
        &self,
        py: Python<'py>,
        report: &str,
        target: Target,
    ) -> PyResult<Any<'py>> {
        let (ledger, report) = (self.get()?, parse("report", report)?);
        let done = py.detach(|| target.write(|out| ledger.export_report(&report, out)))?;
        results::exported(py, &done)
    }

    /// Write the chain as a CAR file: every block and record, and the newest checkpoint; with
    /// `reports` also the ciphertext of every report.
    ///
    /// `target` is an os.PathLike or a binary file object. Returns Exported.
    #[pyo3(signature = (target, *, reports = false))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn export_chain<'py>(
        &self,
        py: Python<'py>,
        target: Target,
        reports: bool,
    ) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done =
            py.detach(|| target.write(|out| ledger.export_chain(out, reports, &mut |_, _| {})))?;
        results::exported(py, &done)
    }

    /// Bring back a report's missing or damaged blocks from its CAR file; returns ImportedReports.
    ///
    /// Every block is verified, and only reports on this ledger are taken: NotFoundError otherwise.
    /// Raises DamagedError when the file is not whole; nothing of it counts then.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn import_report<'py>(&self, py: Python<'py>, source: Source) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let reader = source.reader()?;
        let done = py.detach(|| ledger.import_report(reader, &mut |_| {})).map_err(raise_import)?;
        results::imported_reports(py, &done)
    }

    /// Add the blocks of a chain's CAR file that go on from this ledger's newest one; returns
    /// ImportedChain.
    ///
    /// Each block is judged by this ledger's own rules. Raises ConflictError when the file holds another
    /// chain or one that parts from this one, DamagedError when it is not whole or breaks a rule.
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn import_chain<'py>(&self, py: Python<'py>, source: Source) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let reader = source.reader()?;
        let done = py.detach(|| ledger.import_chain(reader, &mut |_| {})).map_err(raise_import)?;
        results::imported_chain(py, &done)
    }

    /// Make a ledger in a folder, which must not exist or be empty, that follows the chain of a CAR
    /// file, and open it. It takes no records of its own.
    ///
    /// `chain` is the chain's id, from someone you trust. Raises ConflictError when the file holds
    /// another chain, DamagedError when it is not whole or breaks a rule.
    #[staticmethod]
    #[pyo3(signature = (path, source, *, chain))]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn follow(py: Python<'_>, path: PathBuf, source: Source, chain: &str) -> PyResult<Self> {
        let chain = parse("chain", chain)?;
        let reader = source.reader()?;
        let made = py.detach(|| medledger::Ledger::follow(path, &chain, reader, &mut |_| {}));
        made.map(|(ledger, _)| Self::new(ledger, false)).map_err(raise_import)
    }

    /// Whether this ledger only follows a chain and takes no records of its own.
    #[getter]
    fn is_follower(&self) -> PyResult<bool> {
        Ok(self.get()?.is_follower())
    }
}
