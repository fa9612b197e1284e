package parts

import (
	"io"
	"mime"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// SMTP is a real mail server that keeps what it takes.
type SMTP struct {
	*Process
	Dir  string // the mailbox, in the layout Maildir
	Addr string // host:port
	URL  string // smtp://host:port
}

// NewSMTP makes a mail server that does not run yet; args are further ones of aiosmtpd.
func NewSMTP(t testing.TB, args ...string) *SMTP {
	t.Helper()
	bin := find(t, "aiosmtpd", "AIOSMTPD", "install the Debian package python3-aiosmtpd, or let `make test` do it")
	s := &SMTP{Dir: filepath.Join(t.TempDir(), "mail"), Addr: address(t)}
	s.URL = "smtp://" + s.Addr
	all := append([]string{bin, "-n", "-l", s.Addr}, args...)
	s.Process = newProcess(t, "aiosmtpd", func() bool {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, append(all, "-c", "aiosmtpd.handlers.Mailbox", s.Dir)...)
	return s
}

// Letter is a mail that was taken.
type Letter struct {
	Subject string // decoded
	Header  mail.Header
	Body    string // as it was sent
}

// Letters are all mails taken so far, in the order of their files' names.
func (s *SMTP) Letters() []Letter {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "new", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	sort.Strings(files)
	var all []Letter
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			s.t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(text)))
		if err != nil {
			s.t.Fatal(err)
		}
		body, _ := io.ReadAll(m.Body)
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, Letter{subject, m.Header, string(body)})
	}
	return all
}
