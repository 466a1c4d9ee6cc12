// Package interop has programs and libraries that nobody here wrote judge a ledger: two witnesses
// cosign its log, Tessera's fsck reads it, also after crashes, and two libraries verify its proofs.
// `bash tests/interop/run` builds what it needs and runs it.
package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// senders report at once.
	senders = 4
	// crashes are how often the server is killed.
	crashes = 8
	// enough statements fill one tile and begin another.
	enough = 300
)

func TestInterop(t *testing.T) {
	l := newLedger(t)
	t.Run("witnesses cosign", l.witnessesCosign)
	t.Run("the trust file says who must cosign", l.trustFile)
	t.Run("a witness that was away catches up", l.witnessCatchesUp)
	t.Run("fsck accepts the log", l.fsckAccepts)
	t.Run("fsck accepts the log after each crash", l.crash)
	t.Run("fsck refuses altered logs", l.fsckRefuses)
	t.Run("proofs are accepted", l.proofsAccepted)
	t.Run("altered proofs are refused", l.alteredProofsRefused)
}

// checkpoint opens a published checkpoint, which must carry the signature of every key: the log's
// two and the witnesses' three.
func (l *ledger) checkpoint(t *testing.T, text []byte) *flog.Checkpoint {
	t.Helper()
	checkpoint, err := open(text, l.keys)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return checkpoint
}

func open(text []byte, keys []note.Verifier) (*flog.Checkpoint, error) {
	checkpoint, _, opened, err := flog.ParseCheckpoint(text, origin, keys[0], keys[1:]...)
	if err != nil {
		return nil, err
	}
	if found := len(opened.Sigs); found != len(keys) {
		return nil, fmt.Errorf("%d of %d keys have signed", found, len(keys))
	}
	for _, signature := range opened.Sigs[1:] {
		cosigned, err := fnote.CoSigV1Timestamp(signature)
		if err != nil || cosigned.After(time.Now().Add(time.Minute)) {
			return nil, fmt.Errorf("%s cosigned at %v: %w", signature.Name, cosigned, err)
		}
	}
	return checkpoint, nil
}

func (l *ledger) published(t *testing.T) *flog.Checkpoint {
	t.Helper()
	return l.checkpoint(t, get(t, l.log()+"checkpoint"))
}

// mustReport logs a statement; where it stands.
func (l *ledger) mustReport(t *testing.T) *logged {
	t.Helper()
	answer, err := l.report()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (l *ledger) witnessesCosign(t *testing.T) {
	for range 5 {
		answer := l.mustReport(t)
		if size := int64(l.published(t).Size); !answer.Published || size <= answer.Index {
			t.Fatalf("%+v, but %d entries are published", answer, size)
		}
	}
}

// trustFile has Tessera's reader of policies judge checkpoints by the operator's trust file, in which
// a witness with two keys is a group of two.
func (l *ledger) trustFile(t *testing.T) {
	policy, err := tessera.NewWitnessGroupFromPolicy(read(t, l.path("operator/log.policy")))
	if err != nil {
		t.Fatal(err)
	}
	body, signatures, _ := strings.Cut(string(get(t, l.log()+"checkpoint")), "\n\n")
	for _, try := range []struct {
		without   []string
		satisfied bool
	}{
		{nil, true},
		{[]string{"omni ed25519"}, true},
		{[]string{"omni ml-dsa-44"}, true},
		{[]string{"lite ed25519"}, false},
		{[]string{"omni ed25519", "omni ml-dsa-44"}, false},
	} {
		text, left := body+"\n\n", 0
		for line := range strings.Lines(signatures) {
			if slices.Contains(try.without, signedBy(line)) {
				left++
			} else {
				text += line
			}
		}
		if left != len(try.without) {
			t.Errorf("not all of %v are there: %s", try.without, signatures)
		}
		if found := policy.Satisfied([]byte(text)); found != try.satisfied {
			t.Errorf("without %v: %v", try.without, found)
		}
	}
}

// signedBy names a signature line's key: its owner's first name and its kind, told by its length.
func signedBy(line string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(line, "— "), ".")
	if len(line) > 1000 {
		return name + " ml-dsa-44"
	}
	return name + " ed25519"
}

func (l *ledger) witnessCatchesUp(t *testing.T) {
	for _, witness := range []*server{l.litewitness, l.omniwitness} {
		before := l.published(t).Size
		witness.kill()
		if answer := l.mustReport(t); answer.Published {
			t.Fatalf("published without %s", witness.name)
		}
		if size := l.published(t).Size; size != before {
			t.Fatalf("%d entries are public without %s, %d were with it", size, witness.name, before)
		}
		witness.start(t)
		for since := time.Now(); l.published(t).Size == before; time.Sleep(50 * time.Millisecond) {
			if time.Since(since) > patience {
				t.Fatalf("%s is back, and nothing is published", witness.name)
			}
		}
	}
}

// accepted has fsck read a log, which must be as large as the published one at least.
func (l *ledger) accepted(t *testing.T, log, vkey string) {
	t.Helper()
	least := l.published(t).Size
	size, said, err := fsck(l.folder, log, vkey)
	if err != nil || size < least {
		t.Fatalf("%s of %d entries: %d, %v\n%s", log, least, size, err, said)
	}
}

func (l *ledger) fsckAccepts(t *testing.T) {
	l.grow(t, 20)
	l.accepted(t, l.log(), "operator/log.vkey")
	l.accepted(t, l.log(), "operator/log.ml-dsa-44.vkey")
	l.accepted(t, "file://"+l.path("operator/log/"), "operator/log.vkey")
}

// grow logs statements until the log has so many entries.
func (l *ledger) grow(t *testing.T, size uint64) {
	t.Helper()
	together(senders, func(int) {
		for {
			answer, err := l.report()
			if err != nil {
				t.Error(err)
				return
			}
			if uint64(answer.Index)+1 >= size {
				return
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

// crash kills the server while statements come in. What it has answered stands where it stood, and
// every checkpoint that it has shown is one of the same tree.
func (l *ledger) crash(t *testing.T) {
	var answered []*logged
	var proofs [][]byte
	var shown []*flog.Checkpoint
	for range crashes {
		before, proven := l.reportUntilKilled(t)
		answered, proofs = append(answered, before...), append(proofs, proven...)
		l.server.start(t)
		l.accepted(t, l.log(), "operator/log.vkey")
		shown = append(shown, l.published(t))
	}
	l.grow(t, enough)
	l.accepted(t, l.log(), "operator/log.vkey")
	t.Logf("answered before one of %d crashes: %d statements, %d proofs", crashes, len(answered), len(proofs))
	if len(answered) < crashes || len(proofs) < crashes {
		t.Error("too few")
	}
	now := l.read(t)
	for _, answer := range answered {
		if id, err := statementID(now.entries[answer.Index]); err != nil || id != answer.ID {
			t.Errorf("entry %d was %s, and is %s now: %v", answer.Index, answer.ID, id, err)
		}
	}
	for _, text := range proofs {
		var p proof.TLogProof
		if err := p.Unmarshal(text); err != nil {
			t.Fatal(err)
		}
		if err := verify(text, now.entries[p.Index], l.keys); err != nil {
			t.Errorf("entry %d is not what it was: %v", p.Index, err)
		}
		shown = append(shown, l.checkpoint(t, p.Checkpoint))
	}
	for _, checkpoint := range shown {
		root, err := tlog.TreeHash(int64(checkpoint.Size), now)
		if err != nil || !bytes.Equal(root[:], checkpoint.Hash) {
			t.Errorf("the checkpoint of %d entries was of another tree: %v", checkpoint.Size, err)
		}
	}
}

// statementID is the hash of the signed payload in an entry.
func statementID(entry []byte) (string, error) {
	var leaf struct {
		Statement struct {
			Payload []byte `json:"payload"`
		} `json:"statement"`
	}
	err := json.Unmarshal(entry, &leaf)
	return fmt.Sprintf("%x", sha256.Sum256(leaf.Statement.Payload)), err
}

// reportUntilKilled reports from several threads, fetches the proofs, and kills the server under
// them.
func (l *ledger) reportUntilKilled(t *testing.T) (answered []*logged, proofs [][]byte) {
	t.Helper()
	var lock sync.Mutex
	killed, dead := make(chan struct{}), make(chan struct{})
	life := 300*time.Millisecond + rand.N(900*time.Millisecond)
	go func() {
		time.Sleep(life)
		close(killed)
		l.server.kill()
		close(dead)
	}()
	together(senders, func(int) {
		for {
			answer, err := l.report()
			var text []byte
			if err == nil {
				text, err = fetch(l.server.url() + "/api/v1/proofs/" + answer.ID)
			}
			lock.Lock()
			if answer != nil {
				answered = append(answered, answer)
			}
			if err == nil {
				proofs = append(proofs, text)
			}
			lock.Unlock()
			if err == nil {
				continue
			}
			select {
			case <-killed:
			default:
				t.Error(err)
			}
			return
		}
	})
	<-dead
	return answered, proofs
}

// tree is a log as it was read: its entries, and the hashes of their tree by x/mod's numbering.
type tree struct {
	entries [][]byte
	hashes  []tlog.Hash
}

// ReadHashes is what tlog reads a tree by.
func (r *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		hashes = append(hashes, r.hashes[index])
	}
	return hashes, nil
}

// read reads the public log, and derives its tree from its entries.
func (l *ledger) read(t *testing.T) *tree {
	t.Helper()
	size := l.published(t).Size
	read := &tree{}
	for index := range (size + layout.EntryBundleWidth - 1) / layout.EntryBundleWidth {
		var bundle api.EntryBundle
		path := layout.EntriesPath(index, layout.PartialTileSize(0, index, size))
		if err := bundle.UnmarshalText(get(t, l.log()+path)); err != nil {
			t.Fatal(err)
		}
		for _, entry := range bundle.Entries {
			hashes, err := tlog.StoredHashes(int64(len(read.entries)), entry, read)
			if err != nil {
				t.Fatal(err)
			}
			read.entries, read.hashes = append(read.entries, entry), append(read.hashes, hashes...)
		}
	}
	return read
}

// fsckRefuses: a judge who accepts everything would prove nothing.
func (l *ledger) fsckRefuses(t *testing.T) {
	l.server.kill()
	whole := l.copyLog(t)
	l.server.start(t)
	size := l.published(t).Size
	edge := layout.TilePath(1, 0, layout.PartialTileSize(1, 0, size))
	for _, name := range []string{"checkpoint", "tile/entries/000", "tile/0/000", edge} {
		t.Run(name, func(t *testing.T) {
			path := whole.path(name)
			unaltered := read(t, path)
			altered := bytes.Clone(unaltered)
			altered[len(origin)+8] ^= 4
			log := (&url.URL{Scheme: "file", Path: string(whole) + "/"}).String()
			if _, said, err := fsck(l.folder, log, "operator/log.vkey"); err != nil {
				t.Fatalf("unaltered: %v\n%s", err, said)
			}
			if err := os.WriteFile(path, altered, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := fsck(l.folder, log, "operator/log.vkey"); err == nil {
				t.Error("accepted")
			}
			if err := os.WriteFile(path, unaltered, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// prove has the command write the proof of an entry.
func (l *ledger) prove(t *testing.T, index int) []byte {
	t.Helper()
	file := l.path("entry.tlog-proof")
	whosaw(t, "log", "proof", fmt.Sprintf("#%d", index), "--log", l.server.url()+"/log",
		"--policy", l.path("operator/log.policy"), "-o", file)
	return read(t, file)
}

// verify is two strangers' judgement of a proof of this entry: formats/proof with x/mod's, and
// Torchwood's. They must be of one mind.
func verify(text, entry []byte, keys []note.Verifier) error {
	formats, torchwood := verifyByFormats(text, entry, keys), verifyByTorchwood(text, entry, keys)
	if (formats == nil) != (torchwood == nil) {
		return fmt.Errorf("%w: formats %v, Torchwood %v", errTwoMinds, formats, torchwood)
	}
	return formats
}

var errTwoMinds = errors.New("not of one mind")

func verifyByTorchwood(text, entry []byte, keys []note.Verifier) error {
	all := []torchwood.Policy{torchwood.OriginPolicy(origin)}
	for _, key := range keys {
		all = append(all, torchwood.SingleVerifierPolicy(key))
	}
	return torchwood.VerifyProof(torchwood.ThresholdPolicy(len(all), all...), tlog.RecordHash(entry), text)
}

func verifyByFormats(text, entry []byte, keys []note.Verifier) error {
	var p proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return err
	}
	checkpoint, err := open(p.Checkpoint, keys)
	if err != nil {
		return err
	}
	hashes := make(tlog.RecordProof, 0, len(p.Hashes))
	for _, hash := range p.Hashes {
		hashes = append(hashes, hash)
	}
	root := tlog.Hash(checkpoint.Hash)
	return tlog.CheckRecord(hashes, int64(checkpoint.Size), root, int64(p.Index), tlog.RecordHash(entry))
}

// proven is the entry that a proof carries with it, as its extra data: unauthenticated, but for its
// hash. A file without one proves nothing.
func proven(text []byte) []byte {
	line, _, _ := strings.Cut(string(text[min(len(text), len(firstLine)):]), "\n")
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "extra "))
	if err != nil {
		return nil
	}
	return entry
}

const firstLine = "c2sp.org/tlog-proof@v1\n"

func (l *ledger) proofsAccepted(t *testing.T) {
	now := l.read(t)
	last := len(now.entries) - 1
	for _, index := range []int{0, 1, 2, 127, 255, 256, 257, last - 1, last} {
		text := l.prove(t, index)
		if err := verify(text, now.entries[index], l.keys); err != nil {
			t.Errorf("entry %d: %v\n%s", index, err, text)
		}
		if !bytes.Equal(proven(text), now.entries[index]) {
			t.Errorf("the proof of entry %d carries %q", index, proven(text))
		}
	}
}

func (l *ledger) alteredProofsRefused(t *testing.T) {
	now := l.read(t)
	const index = 200
	text := l.prove(t, index)
	if err := verify(text, proven(text), l.keys); err != nil {
		t.Fatal(err)
	}
	count := 0
	refused := func(what string, text []byte) {
		count++
		if err := verify(text, proven(text), l.keys); err == nil || errors.Is(err, errTwoMinds) {
			t.Errorf("with %s: %v", what, err)
		}
	}
	for at := range text {
		altered := bytes.Clone(text)
		altered[at] = another(altered[at])
		refused(fmt.Sprintf("byte %d, %q, altered", at, text[at]), altered)
	}
	// But for the last line feed, which formats/proof puts there itself.
	for cut := 2; cut < len(text); cut += 97 {
		refused(fmt.Sprintf("%d bytes cut off", cut), text[:len(text)-cut])
	}
	replaced := func(old, new string) []byte {
		if strings.Count(string(text), old) != 1 {
			t.Fatalf("%q is not once in the proof", old)
		}
		return []byte(strings.Replace(string(text), old, new, 1))
	}
	entry := func(index int) string { return base64.StdEncoding.EncodeToString(now.entries[index]) }
	refused("another entry", replaced(entry(index), entry(index+1)))
	refused("another index", replaced("index 200\n", "index 201\n"))
	size := func(size int) string { return fmt.Sprintf("\n%d\n", size) }
	refused("another size", replaced(size(len(now.entries)), size(len(now.entries)-1)))
	lines := strings.SplitAfter(string(text), "\n")
	refused("two hashes exchanged", replaced(lines[3]+lines[4], lines[4]+lines[3]))
	refused("a hash left out", replaced(lines[3], ""))
	refused("a hash too many", replaced(lines[3], lines[3]+lines[3]))
	for _, line := range lines {
		if strings.HasPrefix(line, "— ") {
			refused("a signature left out", replaced(line, ""))
		}
	}
	t.Logf("%d altered proofs of %d bytes were refused", count, len(text))
}

// another is a byte that means something else. Of a base64 digit, the highest bit changes: the low
// ones of a last digit are padding.
func another(b byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	if at := strings.IndexByte(digits, b); at >= 0 {
		return digits[(at+32)%64]
	}
	return b ^ 1
}
