//! `POST /api/v1/statements` with JSON lines: many statements in one call, each judged alone and
//! answered in its place.
//!
//! Four steps work beside each other. [`Call::read`] cuts the body into lines and has them verified
//! on other threads; [`Call::hand_in`] hands them to the sequencer in their order; [`settle`] waits
//! until each is durable; [`Call::answer`] waits until it is published, and writes. The first two
//! wait for room, so that lines under way are bounded; what the others hold of a line is a few
//! hundred bytes, so that a reader that is slow, or reads only when it has sent everything, holds up
//! nobody else.

mod body;

use std::collections::{BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::door::{BulkCall, Client, Limit, Turn};
use super::statements::{Settling, too_large};
use super::vault::blocking;
use super::{ApiError, PATIENCE, Service};
use crate::digest::StatementId;
use crate::ledger::{HandedIn, Ledger, Published, Room, SubmitError};
use crate::statement::envelope::MAX_ENVELOPE;
use crate::statement::words::PartyId;
use crate::statement::{Signed, canonical};
use crate::time::Time;
use crate::tlog::tree::{LeafIndex, TreeSize};
use crate::wire::lines::{self, Lines};
use crate::wire::statements::{LineAnswer, Logged};
use body::Writer;

/// Lines that one call takes.
const MAX_LINES: usize = 10_000;
/// Bytes that one call takes.
const MAX_BODY: usize = 16 << 20;
/// The longest that a body may take to arrive.
const READ_TIME: Duration = Duration::from_secs(300);
/// The longest that a call may take, with the reading of its answer.
const BULK_TIME: Duration = Duration::from_secs(600);
/// Lines of one call that wait for the sequencer at once, where no limit is smaller.
const WINDOW: usize = 256;
/// Lines, and bytes of them, that one thread verifies in one go.
const CHUNK: usize = 32;
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks of one call that are verified, or wait to be handed in.
const AHEAD: usize = 4;
/// Bytes of an answer that are written at once.
const PIECE: usize = 32 << 10;

/// Whether a request brings many statements.
pub fn is_bulk(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.to_str().is_ok_and(lines::is_media_type))
}

/// Whether a request asks for proofs (RFC 7240).
fn wants_proofs(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter();
    let words = preferences.filter_map(|value| value.to_str().ok());
    words
        .flat_map(|words| words.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case("return=representation"))
}

/// Takes many statements.
pub async fn submit(service: Arc<Service>, request: Request) -> Response {
    let begun = begin(service, request).await;
    begun.unwrap_or_else(|error| error.into_response())
}

/// Begins a call once its body does: who sends nothing is told so by a status.
async fn begin(service: Arc<Service>, request: Request) -> Result<Response, ApiError> {
    let (parts, mut body) = request.into_parts();
    let client = parts.extensions.get::<Client>().copied();
    let client = client.ok_or_else(|| ApiError::internal("a request from nowhere"))?;
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        let most = MAX_BODY as u64;
        return Err(ApiError::TooLarge { most });
    }
    let places = service.door.enter_bulk(&client)?;
    // Before the answer begins, so that `100 Continue` comes before it too.
    let first = match body.frame().await {
        None => Bytes::new(),
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        Some(Err(error)) => return Err(ApiError::unread(&error, MAX_BODY)),
    };
    let proofs = wants_proofs(&parts.headers);
    let (writer, answer) = body::answer();
    let call = Call {
        service,
        client,
        proofs,
        under_way: watch::channel(0).0,
    };
    tokio::spawn(call.run(first, body, writer, places));
    let mut response = Body::new(answer).into_response();
    let headers = response.headers_mut();
    let value = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, value(lines::MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, value("no-store"));
    if proofs {
        headers.insert("preference-applied", value("return=representation"));
    }
    Ok(response)
}

/// A line, and what has become of it so far.
struct Line<T> {
    number: u64,
    is: T,
}

/// A line that was looked at.
enum Verified {
    Good(Box<Signed>),
    /// Refused for its attachments or its keys; what an earlier line logs may mend that.
    Doubtful(Box<Signed>),
    Bad(ApiError),
}

/// A statement that waits for the sequencer.
struct HandedInLine {
    id: StatementId,
    handed_in: HandedIn,
    settling: Settling,
}

/// A statement that is durable.
struct Durable {
    id: StatementId,
    index: LeafIndex,
    logged_at: Time,
    known: bool,
}

type Chunk = Vec<Line<Result<Vec<u8>, ApiError>>>;
type VerifiedChunk = JoinHandle<Vec<Line<Verified>>>;
type HandedInLines = mpsc::UnboundedReceiver<Line<Result<HandedInLine, ApiError>>>;
type DurableLines = mpsc::UnboundedReceiver<Line<Result<Durable, ApiError>>>;

/// One call.
struct Call {
    service: Arc<Service>,
    client: Client,
    proofs: bool,
    /// Its statements that wait for the sequencer.
    under_way: watch::Sender<usize>,
}

/// A statement that waits for the sequencer, counted until this is dropped.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(under_way: &watch::Sender<usize>) -> Self {
        under_way.send_modify(|count| *count += 1);
        Self(under_way.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Why a statement is not handed in at once.
enum NoRoom {
    /// As many of this call are under way as may be.
    Window,
    Queue(SubmitError),
    Limit(Limit),
}

impl Call {
    async fn run(self, first: Bytes, body: Body, mut writer: Writer, places: BulkCall) {
        let (verify, verified) = mpsc::channel(AHEAD);
        let (hand_in, handed_in) = mpsc::unbounded_channel();
        let (settled, durable) = mpsc::unbounded_channel();
        // Goes on if the client hangs up: what is logged is done.
        tokio::spawn(settle(self.service.clone(), handed_in, settled));
        let gone = writer.gone();
        let work = async {
            tokio::join!(
                self.read(first, body, verify),
                self.hand_in(verified, hand_in),
                self.answer(durable, &mut writer),
            )
        };
        let finished = tokio::select! {
            finished = timeout(BULK_TIME, work) => finished.is_ok(),
            () = gone => false,
        };
        if finished {
            writer.end().await;
        }
        drop(places);
    }

    /// Cuts the body into lines, and has them verified.
    async fn read(&self, first: Bytes, body: Body, verify: mpsc::Sender<VerifiedChunk>) {
        let mut lines = Lines::new(MAX_ENVELOPE);
        let last = match self.read_lines(first, body, &mut lines, &verify).await {
            Ok(()) => lines.finish().map(|line| self.enter(line)),
            Err(error) => Some(Line {
                number: lines.number(),
                is: Err(error),
            }),
        };
        if let Some(last) = last {
            let _ = verify.send(self.verify(vec![last]).await).await;
        }
    }

    /// Reads all whole lines; why it stopped before the end.
    async fn read_lines(
        &self,
        first: Bytes,
        mut body: Body,
        lines: &mut Lines,
        verify: &mpsc::Sender<VerifiedChunk>,
    ) -> Result<(), ApiError> {
        let deadline = Instant::now() + READ_TIME;
        let (mut count, mut length) = (0, 0);
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            length += bytes.len();
            if length > MAX_BODY {
                let most = MAX_BODY as u64;
                return Err(ApiError::TooLarge { most });
            }
            let mut rest = &bytes[..];
            while count <= MAX_LINES {
                let chunk = self.fill(lines, &mut rest, &mut count);
                if chunk.is_empty() {
                    break;
                }
                if verify.send(self.verify(chunk).await).await.is_err() {
                    return Ok(());
                }
            }
            // Beyond the last line the rest is read and passed over: who is still writing when a
            // connection is closed may lose the answer.
            piece = next_piece(&mut body, deadline).await?;
        }
        Ok(())
    }

    /// Takes lines out of what has arrived, until a thread has enough of them. The first line that is
    /// too many is answered, and the last.
    fn fill(&self, lines: &mut Lines, rest: &mut &[u8], count: &mut usize) -> Chunk {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < CHUNK && bytes < CHUNK_BYTES && *count <= MAX_LINES {
            let Some(line) = lines.next(rest) else {
                break;
            };
            *count += 1;
            bytes += line.bytes.as_ref().map_or(0, Vec::len);
            chunk.push(match *count > MAX_LINES {
                false => self.enter(line),
                true => Line {
                    number: line.number,
                    is: Err(ApiError::TooManyLines { most: MAX_LINES }),
                },
            });
        }
        chunk
    }

    /// Lets a line in, if its address may send one more statement.
    fn enter(&self, line: lines::Line) -> Line<Result<Vec<u8>, ApiError>> {
        let counted = self.service.door.count_statement(&self.client);
        let bytes = counted.and_then(|()| line.bytes.ok_or_else(|| too_large().into()));
        Line {
            number: line.number,
            is: bytes,
        }
    }

    /// Has lines verified by a thread of their own, when one is free.
    async fn verify(&self, chunk: Chunk) -> VerifiedChunk {
        let turn = self.service.door.turn_to_verify().await;
        let service = self.service.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let verify = |Line { number, is }| Line {
                number,
                is: verify(&service, is),
            };
            chunk.into_iter().map(verify).collect()
        })
    }

    /// Hands lines to the sequencer in their order.
    async fn hand_in(
        &self,
        mut verified: mpsc::Receiver<VerifiedChunk>,
        handed_in: mpsc::UnboundedSender<Line<Result<HandedInLine, ApiError>>>,
    ) {
        let mut seen = HashSet::new();
        while let Some(chunk) = verified.recv().await {
            // It does not panic, and is never cancelled.
            for Line { number, is } in chunk.await.unwrap_or_default() {
                let is = match is {
                    Verified::Good(signed) => self.take_turn(*signed, &mut seen).await,
                    Verified::Doubtful(signed) => match self.verify_again(*signed).await {
                        Ok(signed) => self.take_turn(signed, &mut seen).await,
                        Err(error) => Err(error),
                    },
                    Verified::Bad(error) => Err(error),
                };
                let _ = handed_in.send(Line { number, is });
            }
        }
    }

    /// Looks at a statement again once those before it are sequenced: they may have logged what it
    /// rests on.
    async fn verify_again(&self, signed: Signed) -> Result<Signed, ApiError> {
        let mut under_way = self.under_way.subscribe();
        let _ = under_way.wait_for(|count| *count == 0).await;
        let service = self.service.clone();
        blocking(move || service.check_attachments(&signed).map(|()| signed)).await
    }

    /// Hands a statement in once there is room for it. While others of this call are under way, they
    /// make room; where none is, the statement is refused. What was `seen` in this call counts against
    /// no party: it is in everyone's hands, who may send it again and again.
    async fn take_turn(
        &self,
        signed: Signed,
        seen: &mut HashSet<StatementId>,
    ) -> Result<HandedInLine, ApiError> {
        let parties = match seen.insert(signed.id) {
            true => self.service.signing_parties(&signed)?,
            false => BTreeSet::new(),
        };
        let mut under_way = self.under_way.subscribe();
        let (room, turn) = loop {
            let before = *under_way.borrow_and_update();
            match self.room(&parties, before) {
                Ok(found) => break found,
                Err(no_room) if before == 0 => return Err(self.refuse(no_room)),
                Err(_) => {
                    let _ = under_way.wait_for(|count| *count < before).await;
                }
            }
        };
        for party in &parties {
            self.service.door.count_party(party)?;
        }
        let id = signed.id;
        let settling = Settling::of(&signed.statement);
        let handed_in = room.hand_in(signed, (turn, Counted::new(&self.under_way)));
        Ok(HandedInLine {
            id,
            handed_in,
            settling,
        })
    }

    /// Room in the queue, and the places that a statement takes there.
    fn room(
        &self,
        parties: &BTreeSet<PartyId>,
        under_way: usize,
    ) -> Result<(Room<'_>, Turn), NoRoom> {
        if under_way >= WINDOW {
            return Err(NoRoom::Window);
        }
        let room = self.service.ledger.room().map_err(NoRoom::Queue)?;
        let turn = Turn::take(&self.service.door, &self.client, parties);
        Ok((room, turn.map_err(NoRoom::Limit)?))
    }

    fn refuse(&self, no_room: NoRoom) -> ApiError {
        match no_room {
            NoRoom::Window => ApiError::Busy,
            NoRoom::Queue(error) => error.into(),
            NoRoom::Limit(limit) => self.service.door.refuse(limit, Duration::ZERO),
        }
    }

    /// Writes the answers in their order.
    async fn answer(&self, mut durable: DurableLines, writer: &mut Writer) {
        let mut checkpoints = Checkpoints::new(&self.service.ledger);
        let mut piece = Vec::new();
        loop {
            let line = match durable.try_recv() {
                Ok(line) => line,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    writer.write(&mut piece).await;
                    match durable.recv().await {
                        Some(line) => line,
                        None => break,
                    }
                }
            };
            if let Ok(entry) = &line.is
                && !checkpoints.know(entry.index)
            {
                writer.write(&mut piece).await;
                checkpoints.wait_for(entry.index).await;
            }
            let answer = self.answer_to(line, &checkpoints);
            serde_json::to_writer(&mut piece, &answer).expect("an answer is JSON");
            piece.push(b'\n');
            if piece.len() >= PIECE {
                writer.write(&mut piece).await;
            }
        }
        writer.write(&mut piece).await;
    }

    fn answer_to(&self, line: Line<Result<Durable, ApiError>>, known: &Checkpoints) -> LineAnswer {
        let Line { number, is } = line;
        let logged = is.and_then(|entry| self.logged(entry, known));
        let error = match logged {
            Ok((status, logged)) => return LineAnswer::logged(number, status.as_u16(), logged),
            Err(error) => error,
        };
        let problem = error.problem();
        let signed = match error {
            ApiError::Refused(_) => {
                let body = canonical::to_vec(&problem);
                self.service.sign_problem(problem.status, &body)
            }
            _ => None,
        };
        LineAnswer {
            retry_after: error.retry_after(),
            signed,
            ..LineAnswer::refused(number, problem)
        }
    }

    fn logged(
        &self,
        entry: Durable,
        known: &Checkpoints,
    ) -> Result<(StatusCode, Logged), ApiError> {
        let published = known.covering(entry.index);
        let proof = match published.filter(|_| self.proofs) {
            None => None,
            Some(published) => {
                let leaf = self.service.leaf(entry.index)?;
                Some(self.service.prove(entry.index, leaf, published)?)
            }
        };
        let status = match (published, entry.known) {
            (None, _) => StatusCode::ACCEPTED,
            (Some(_), true) => StatusCode::OK,
            (Some(_), false) => StatusCode::CREATED,
        };
        let logged = Logged {
            id: entry.id,
            index: entry.index,
            logged_at: entry.logged_at,
            proof,
            known: entry.known,
        };
        Ok((status, logged))
    }
}

/// The next bytes of a body; `None` at its end.
async fn next_piece(body: &mut Body, deadline: Instant) -> Result<Option<Bytes>, ApiError> {
    let frame = timeout_at(deadline, body.frame()).await;
    match frame.map_err(|_| ApiError::TooSlow)? {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(ApiError::unread(&error, MAX_BODY)),
    }
}

/// Looks at a line. What fails here in a way that nobody foresaw refuses that line alone.
fn verify(service: &Service, line: Result<Vec<u8>, ApiError>) -> Verified {
    let verified = catch_unwind(AssertUnwindSafe(|| look_at(service, line)));
    verified.unwrap_or_else(|_| Verified::Bad(ApiError::internal("a statement was not read")))
}

fn look_at(service: &Service, line: Result<Vec<u8>, ApiError>) -> Verified {
    let signed = match line.and_then(|bytes| service.read_statement(&bytes)) {
        Ok(signed) => Box::new(signed),
        Err(error) => return Verified::Bad(error),
    };
    if signed.statement.attachments().is_empty() || service.check_attachments(&signed).is_ok() {
        return Verified::Good(signed);
    }
    Verified::Doubtful(signed)
}

/// Waits until statements are durable, and does then what they ask for.
async fn settle(
    service: Arc<Service>,
    mut handed_in: HandedInLines,
    durable: mpsc::UnboundedSender<Line<Result<Durable, ApiError>>>,
) {
    while let Some(Line { number, is }) = handed_in.recv().await {
        let is = match is {
            Ok(line) => line.durable(&service).await,
            Err(error) => Err(error),
        };
        service.door.metrics().answered(&is);
        let _ = durable.send(Line { number, is });
    }
}

impl HandedInLine {
    async fn durable(self, service: &Arc<Service>) -> Result<Durable, ApiError> {
        let sequenced = self.handed_in.sequenced().await?;
        self.settling.settle(service).await?;
        Ok(Durable {
            id: self.id,
            index: sequenced.index,
            logged_at: sequenced.logged_at,
            known: sequenced.known,
        })
    }
}

/// The checkpoints under which the lines of a call are answered.
struct Checkpoints<'a> {
    ledger: &'a Ledger,
    last: Option<Published>,
    /// How far the published checkpoint reached when a line waited for it in vain. Until it reaches
    /// further, no line waits: the witnesses' quorum is missing.
    in_vain: Option<TreeSize>,
}

impl<'a> Checkpoints<'a> {
    fn new(ledger: &'a Ledger) -> Self {
        Self {
            ledger,
            last: ledger.published(),
            in_vain: None,
        }
    }

    /// Whether it is known already what to answer about the entry at `index`.
    fn know(&mut self, index: LeafIndex) -> bool {
        if self.covering(index).is_none() {
            self.last = self.ledger.published();
        }
        let size = self.last.as_ref().map(|last| last.checkpoint.size);
        self.covering(index).is_some() || (size.is_some() && size == self.in_vain)
    }

    /// Waits for a checkpoint over the entry at `index`.
    async fn wait_for(&mut self, index: LeafIndex) {
        match self.ledger.wait_published(index, PATIENCE).await {
            Some(published) => self.last = Some(published),
            None => {
                self.last = self.ledger.published();
                self.in_vain = self.last.as_ref().map(|last| last.checkpoint.size);
            }
        }
    }

    fn covering(&self, index: LeafIndex) -> Option<&Published> {
        self.last.as_ref().filter(|last| last.covers(index))
    }
}
