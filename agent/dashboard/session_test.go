package dashboard

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/agent/journal"
)

const shelving = `{"name": "sensor.failure tool_temperature", "why": "it is being changed", "for_s": 60, "who": "mallory", "Who": "mallory"}`

// Without users, whoever is on this computer may do everything, and what is done is on record anyway.
func TestWithoutUsersThisComputerMay(t *testing.T) {
	s := newStand(t)
	var who Session
	if s.get(root+"/session", &who); who.Login || who.Role != Engineer {
		t.Errorf("session: %+v", who)
	}
	s.wants(http.StatusOK, s.ask(http.MethodPost, root+"/alarms/shelve", shelving))
	s.wants(http.StatusOK, s.ask(http.MethodPost, root+"/alarms/unshelve", `{"name": "sensor.failure tool_temperature"}`))
	trail := s.trail()
	if len(trail) != 2 || trail[0].Who != "mallory" || trail[0].Why != "it is being changed" || !strings.HasPrefix(trail[0].What, "alarms/shelve ") || trail[1].Who != unnamed {
		t.Errorf("audit: %+v", trail)
	}
	foreign := func(r *http.Request) { r.Host = "evil.example" }
	s.wants(http.StatusForbidden, s.ask(http.MethodGet, root+"/now", "", foreign))
}

func (s *stand) trail() []journal.AuditEntry {
	s.t.Helper()
	all, err := s.Journal.AuditTrail()
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// With users everyone logs in, each role does what it may and no more, and what is done is on record under who did it,
// whatever the request says.
func TestRoles(t *testing.T) {
	s := newStand(t)
	s.people()
	for _, x := range s.api() {
		method, path, _ := strings.Cut(x.pattern, " ")
		s.wants(http.StatusUnauthorized, s.ask(method, root+path, "{}"))
	}
	s.wants(http.StatusUnauthorized, s.ask(http.MethodGet, root+"/stream", ""))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodGet, "/metrics", ""))
	s.wants(http.StatusOK, s.ask(http.MethodGet, "/healthz", ""))

	for name, role := range map[string]Role{"wall": Viewer, "anna": Operator, "eva": Engineer} {
		s.login(name, secretWord)
		for _, x := range s.api() {
			method, path, _ := strings.Cut(x.pattern, " ")
			w := s.ask(method, root+path, "{}")
			if refused := w.Code == http.StatusForbidden; refused != (role < x.least) || w.Code == http.StatusUnauthorized {
				t.Errorf("%s (%s) asks %s: %d %s", name, role, x.pattern, w.Code, w.Body)
			}
		}
	}
	s.login("anna", secretWord)
	s.wants(http.StatusOK, s.ask(http.MethodPost, root+"/alarms/shelve", shelving))
	trail := s.trail()
	if last := trail[len(trail)-1]; last.Who != "anna" || !strings.Contains(last.What, "sensor.failure tool_temperature") || strings.Contains(last.What, "mallory") {
		t.Errorf("audit: %+v", last)
	}
	var all struct {
		Alarms []struct{ State, Who string }
	}
	s.get(root+"/alarms", &all)
	if len(all.Alarms) == 0 || all.Alarms[len(all.Alarms)-1].Who != "anna" {
		t.Errorf("alarms: %+v", all)
	}
}

func TestSessionsEnd(t *testing.T) {
	s := newStand(t)
	s.people()
	in := func() int { return s.ask(http.MethodGet, root+"/runs", "").Code }
	s.login("anna", secretWord)
	c := s.cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		t.Errorf("cookie: %v", c)
	}
	if in() != http.StatusOK {
		t.Error("whoever has logged in is not let in")
	}
	s.sessions = newSessions(s.Options.Users+".sessions", s.Log) // as after a start of the agent
	if in() != http.StatusOK {
		t.Error("a start ends sessions")
	}
	if text, err := os.ReadFile(s.Options.Users + ".sessions"); err != nil || strings.Contains(string(text), c.Value) {
		t.Errorf("what a browser holds is in the file: %v", err)
	}
	s.ask(http.MethodPost, root+"/logout", "")
	if in() != http.StatusUnauthorized {
		t.Error("logging out does not end a session")
	}
	s.login("anna", secretWord)
	if err := s.users.SetPassword("anna", "another secret"); err != nil {
		t.Fatal(err)
	}
	if in() != http.StatusUnauthorized {
		t.Error("another password does not end a session")
	}
	s.login("anna", "another secret")
	if err := s.users.Remove("anna"); err != nil {
		t.Fatal(err)
	}
	if in() != http.StatusUnauthorized {
		t.Error("a user that is gone is let in")
	}
}

func TestSessionsEndByTime(t *testing.T) {
	now := time.Now()
	for _, x := range []struct {
		role      Role
		age, idle time.Duration
		over      bool
	}{{Operator, time.Hour, time.Hour, false}, {Operator, 24 * time.Hour, 13 * time.Hour, true}, {Operator, 8 * 24 * time.Hour, 0, true},
		{Viewer, 200 * 24 * time.Hour, 24 * time.Hour, false}, {Viewer, 400 * 24 * time.Hour, 0, true}} {
		if got := (&session{Began: now.Add(-x.age), Seen: now.Add(-x.idle)}).over(x.role, now); got != x.over {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

// A program with a token reads, and does nothing.
func TestTokens(t *testing.T) {
	s := newStand(t)
	s.people()
	token, err := s.users.AddToken("prometheus", Viewer)
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	s.wants(http.StatusOK, s.ask(http.MethodGet, "/metrics", "", bearer))
	s.wants(http.StatusForbidden, s.ask(http.MethodPost, root+"/alarms/ack", `{"name": "all"}`, bearer))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodGet, "/metrics", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") }))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodPost, root+"/login", `{"name": "prometheus", "password": ""}`))
	text, err := os.ReadFile(s.Options.Users)
	if err != nil || strings.Contains(string(text), token) || strings.Contains(string(text), secretWord) {
		t.Errorf("the file has a secret: %v", err)
	}
	if info, _ := os.Stat(s.Options.Users); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// Attempts are few for each address and for each name; whoever knows the password is let in once more are taken.
func TestLoginsAreLimited(t *testing.T) {
	s := newStand(t)
	s.people()
	wrong := `{"name": "anna", "password": "guess"}`
	for range triesOfAddress {
		s.byAddress.take("127.0.0.1", time.Now())
	}
	w := s.ask(http.MethodPost, root+"/login", wrong)
	s.wants(http.StatusTooManyRequests, w)
	if w.Header().Get("Retry-After") == "" {
		t.Error("it is not said when the next attempt is taken")
	}
	other := func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }
	s.wants(http.StatusUnauthorized, s.ask(http.MethodPost, root+"/login", wrong, other))
	for range triesOfName {
		s.byName.take("anna", time.Now())
	}
	s.wants(http.StatusTooManyRequests, s.ask(http.MethodPost, root+"/login", wrong, func(r *http.Request) { r.RemoteAddr = "192.0.2.2:1" }))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodPost, root+"/login", `{"name": "nobody", "password": "guess"}`, other))
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{burst: 3, every: time.Minute}
		for i := range 3 {
			if wait := l.take("a", time.Now()); wait != 0 {
				t.Errorf("attempt %d waits %v", i, wait)
			}
		}
		if wait := l.take("a", time.Now()); wait != time.Minute {
			t.Errorf("a fourth attempt waits %v", wait)
		}
		if wait := l.take("b", time.Now()); wait != 0 {
			t.Errorf("another waits %v", wait)
		}
		time.Sleep(time.Minute)
		if l.take("a", time.Now()) != 0 || l.take("a", time.Now()) == 0 {
			t.Error("a minute gives one attempt")
		}
		l.forget("a")
		if l.take("a", time.Now()) != 0 {
			t.Error("it is not forgotten")
		}
		for i := range mostNames + 100 {
			l.take(fmt.Sprint(i), time.Now())
		}
		if len(l.tries) > mostNames {
			t.Errorf("%d names are remembered", len(l.tries))
		}
		time.Sleep(time.Hour)
		if l.take("new", time.Now()) != 0 || len(l.tries) != 1 {
			t.Errorf("%d names are remembered after an hour", len(l.tries))
		}
	})
}

func TestPasswords(t *testing.T) {
	h := hash(secretWord)
	if !matches(secretWord, h) || matches("incorrect horse", h) || hash(secretWord) == h {
		t.Error("a hash is not of its password alone")
	}
	for _, bad := range []string{"", "x", nobodysHash + "x", strings.Replace(h, "argon2id", "argon2i", 1), strings.Replace(h, "m=19456", "m=4194304", 1), strings.Replace(h, "t=2", "t=0", 1), h[:len(h)-4]} {
		if matches(secretWord, bad) {
			t.Errorf("%s is taken", bad)
		}
	}
	u := OpenUsers(filepath.Join(t.TempDir(), "users.json"))
	for name, password := range map[string]string{"anna": "short", "": secretWord, "a/b": secretWord, "eva": strings.Repeat("x", 200)} {
		if u.Add(name, Viewer, password) == nil {
			t.Errorf("%q with %q is taken", name, password)
		}
	}
	if err := u.Add("anna", Viewer, secretWord); err != nil {
		t.Fatal(err)
	}
	if u.Add("anna", Viewer, secretWord) == nil || u.Remove("eva") == nil || u.SetPassword("eva", secretWord) == nil {
		t.Error("names are not looked at")
	}
}
