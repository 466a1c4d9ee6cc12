package interop

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/torchwood"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const (
	origin = "ledger.example/log"
	vendor = "doorbell.example"
	agency = "lakelandgov.example"
)

// ledger is an operator's log, made and used by commands alone, with two witnesses of other people.
type ledger struct {
	folder
	server      *server
	litewitness *server
	omniwitness *server
	// keys verify every signature that a published checkpoint must carry.
	keys []note.Verifier
	// agreement is the id of the logged agreement between the vendor and the agency.
	agreement string
	counted   atomic.Uint64
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{folder: folder(t.TempDir())}
	whosaw(t, "operator", "init", "--data", l.path("operator"), "--origin", origin,
		"--party", "ledger.example", "--name", "Ledger", "--jurisdiction", "US-FL")
	l.noWaiting(t)
	for _, file := range []string{"operator/log.vkey", "operator/log.ml-dsa-44.vkey"} {
		l.keys = append(l.keys, verifier(t, strings.TrimSpace(string(read(t, l.path(file))))))
	}
	l.startLitewitness(t)
	l.startOmniwitness(t)
	l.server = newServer(t, l.folder, "whosaw", "serve", "--data", l.path("operator"),
		"--listen", "ADDRESS", "--rate", "100000", "--address-limit", "0", "--party-limit", "0")
	l.server.start(t)
	l.settle(t)
	return l
}

// noWaiting lets new keys speak at once, where the usual limits have them wait for days.
func (l *ledger) noWaiting(t *testing.T) {
	t.Helper()
	var limits map[string]any
	if err := json.Unmarshal(read(t, l.path("operator/limits.json")), &limits); err != nil {
		t.Fatal(err)
	}
	limits["new_key_wait_minutes"] = 0
	text, err := json.Marshal(limits)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "operator/limits.json", string(text))
}

func verifier(t *testing.T, vkey string) note.Verifier {
	t.Helper()
	v, err := fnote.NewVerifier(vkey)
	if err != nil {
		t.Fatalf("%s: %v", vkey, err)
	}
	return v
}

// addWitness names a witness in the trust file.
func (l *ledger) addWitness(t *testing.T, name string, at *server, vkeys ...string) {
	t.Helper()
	args := []string{"operator", "add-witness", "--data", l.path("operator"), "--name", name, "--url", at.url()}
	for _, vkey := range vkeys {
		args = append(args, "--vkey", vkey)
		l.keys = append(l.keys, verifier(t, vkey))
	}
	whosaw(t, args...)
}

// startLitewitness starts Torchwood's witness. Its key lies in an SSH agent, which is this process.
func (l *ledger) startLitewitness(t *testing.T) {
	t.Helper()
	const name = "lite.example"
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := torchwood.NewCosignatureSigner(name, key)
	if err != nil {
		t.Fatal(err)
	}
	db, socket := l.path("litewitness.db"), l.path("agent")
	serveAgent(t, socket, key)
	l.litewitness = newServer(t, l.folder, "litewitness", "-db", db, "-name", name,
		"-key", ssh.FingerprintSHA256(signer.PublicKey()), "-ssh-agent", socket, "-listen", "ADDRESS")
	l.litewitness.start(t)
	introduce(t, db, string(read(t, l.path("operator/log.vkey"))))
	l.addWitness(t, "lite", l.litewitness, cosigner.Verifier().String())
}

// introduce does what `witnessctl add-log` and `add-key` do: they write these two rows. (That
// program draws in the Sigsum library as well, only for the empty tree's hash.)
func introduce(t *testing.T, db, vkey string) {
	t.Helper()
	connection, err := sqlite.OpenConn(db)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	execute := func(query string, values ...any) {
		if err := sqlitex.Execute(connection, query, &sqlitex.ExecOptions{Args: values}); err != nil {
			t.Fatal(err)
		}
	}
	execute("INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", origin, empty.String())
	execute("INSERT INTO key (origin, key) VALUES (?, ?)", origin, strings.TrimSpace(vkey))
}

func serveAgent(t *testing.T, socket string, key ed25519.PrivateKey) {
	t.Helper()
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_ = agent.ServeAgent(keyring, connection)
			}()
		}
	}()
}

// startOmniwitness starts transparency.dev's witness, with a key of each kind.
func (l *ledger) startOmniwitness(t *testing.T) {
	t.Helper()
	const name = "omni.example"
	ed25519Key, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	ed25519Vkey, err := fnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	mldsaKey, mldsaVkey, err := fnote.GenerateMLDSAKey(name)
	if err != nil {
		t.Fatal(err)
	}
	logs := fmt.Sprintf("Logs:\n  - Origin: %s\n    PublicKey: %s\n    URL: http://unused.invalid/\n",
		origin, strings.TrimSpace(string(read(t, l.path("operator/log.vkey")))))
	l.omniwitness = newServer(t, l.folder, "omniwitness",
		"--private_key_path", l.write(t, "omni.ed25519", ed25519Key),
		"--private_key_path", l.write(t, "omni.ml-dsa-44", mldsaKey),
		"--db_file", l.path("omniwitness.db"), "--additional_logs", l.write(t, "logs.yaml", logs),
		"--listen", "ADDRESS", "--metrics_listen", "")
	l.omniwitness.start(t)
	l.addWitness(t, "omni", l.omniwitness, ed25519Vkey, mldsaVkey)
}

// settle registers a vendor and an agency, and logs their agreement.
func (l *ledger) settle(t *testing.T) {
	t.Helper()
	trust, data := l.path("operator/log.policy"), l.path("operator")
	for kind, party := range map[string]string{"vendor": vendor, "agency": agency} {
		home, file := l.path(kind), l.path(kind+".dsse")
		whosaw(t, kind, "init", "--home", home, "--party", party, "--name", kind,
			"--jurisdiction", "US-FL", "--server", l.server.url(), "--trust", trust)
		whosaw(t, kind, "register", "--home", home, "-o", file)
		whosaw(t, "operator", "approve", file, "--data", data, "--server", l.server.url(), "--yes")
	}
	file := l.path("agreement.dsse")
	whosaw(t, "vendor", "agreement", "--home", l.path("vendor"), "--with", agency, "--sign-only", "-o", file)
	whosaw(t, "countersign", file, "--home", l.path("agency"), "--yes")
	said := whosaw(t, "submit", file, "--server", l.server.url(), "--trust", trust, "--json")
	var agreed logged
	if err := json.Unmarshal([]byte(said), &agreed); err != nil {
		t.Fatal(err)
	}
	l.agreement = agreed.ID
}

// logged is what a command says about a statement that the log has taken.
type logged struct {
	ID    string `json:"id"`
	Index int64  `json:"index"`
	// Published is whether its proof has come with it, and was verified.
	Published bool `json:"published"`
}

// report has the vendor log a statement like no other.
func (l *ledger) report() (*logged, error) {
	count := fmt.Sprint(l.counted.Add(1))
	stdout, stderr, err := attempt(patience, "whosaw", "vendor", "benefit", "--home", l.path("vendor"),
		"--kind", "equipment", "--giver", vendor, "--receiver", agency, "--agreement", l.agreement,
		"--item", "doorbell-camera", "--count", count, "--json")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr)
	}
	answer := &logged{}
	if err := json.Unmarshal([]byte(stdout), answer); err != nil {
		return nil, fmt.Errorf("%w: %s", err, stdout)
	}
	return answer, nil
}

// log is the address of the public log.
func (l *ledger) log() string { return l.server.url() + "/log/" }

// copyLog copies the public log's files.
func (l *ledger) copyLog(t *testing.T) folder {
	t.Helper()
	copied := folder(t.TempDir())
	if err := os.CopyFS(string(copied), os.DirFS(l.path("operator/log"))); err != nil {
		t.Fatal(err)
	}
	return copied
}
