package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is the longest that a server may take to listen, and a command to end.
const patience = 60 * time.Second

// folder is where everything happens: parties, witnesses, servers' errors.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

func (f folder) write(t *testing.T, name, text string) string {
	t.Helper()
	path := f.path(name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// built is the path of a program that `run` has built: whosaw, or one of the tools in go.mod.
func built(name string) string {
	if name == "whosaw" {
		return os.Getenv("WHOSAW")
	}
	return filepath.Join(os.Getenv("INTEROP_BIN"), name)
}

// attempt runs a program to its end.
func attempt(limit time.Duration, name string, args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, built(name), args...)
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	err = command.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return out.String(), errors.String(), err
}

// whosaw runs a command that must succeed; what it prints.
func whosaw(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := attempt(patience, "whosaw", args...)
	if err != nil {
		t.Fatalf("whosaw %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// server is a program that serves, on an address that stays its own when it is started again.
type server struct {
	address string
	name    string
	args    []string
	errors  string
	process *exec.Cmd
	ended   chan struct{}
}

// newServer is a server that does not run yet; "ADDRESS" among its arguments is where it listens.
func newServer(t *testing.T, in folder, name string, args ...string) *server {
	t.Helper()
	s := &server{address: freeAddress(t), name: name, errors: in.path(name + ".log")}
	for _, arg := range args {
		s.args = append(s.args, strings.ReplaceAll(arg, "ADDRESS", s.address))
	}
	t.Cleanup(s.kill)
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (s *server) url() string { return "http://" + s.address }

// start starts it and waits until it listens.
func (s *server) start(t *testing.T) {
	t.Helper()
	errors, err := os.OpenFile(s.errors, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer errors.Close()
	s.process = exec.Command(built(s.name), s.args...)
	s.process.Stderr = errors
	// Whatever becomes of the suite, nothing of it goes on running.
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	for since := time.Now(); time.Since(since) < patience; time.Sleep(20 * time.Millisecond) {
		connection, err := net.Dial("tcp", s.address)
		if err == nil {
			connection.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", s.name, read(t, s.errors))
		default:
		}
	}
	t.Fatalf("%s does not listen:\n%s", s.name, read(t, s.errors))
}

// kill ends it as a power cut would.
func (s *server) kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// get fetches what must be there.
func get(t *testing.T, url string) []byte {
	t.Helper()
	body, err := fetch(url)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func fetch(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return body, err
}

// together runs work(0) … work(n-1) in threads of their own.
func together(n int, work func(int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { work(i) })
	}
	all.Wait()
}

// fsck runs Tessera's fsck on a log. It exits with 0 whatever it found, so that only its last words
// count; one that does not end has not accepted the log.
func fsck(in folder, log, vkey string) (size uint64, said string, err error) {
	_, said, err = attempt(40*time.Second, "fsck",
		"--storage_url="+log, "--public_key="+in.path(vkey), "--ui=false", "--N=4")
	if err != nil {
		return 0, said, err
	}
	_, rest, found := strings.Cut(said, "Successfully fsck'd log with size ")
	if !found || strings.Contains(said, "fsck failed") {
		return 0, said, fmt.Errorf("fsck does not accept the log")
	}
	_, err = fmt.Sscan(rest, &size)
	return size, said, err
}
