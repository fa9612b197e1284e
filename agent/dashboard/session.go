package dashboard

import (
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"
)

// session is one browser in which a user has logged in.
type session struct {
	User  string    `json:"user"`
	Stamp string    `json:"stamp"` // digest of the password's hash: another password ends it
	Began time.Time `json:"began"`
	Seen  time.Time `json:"seen"`
}

// How long a session lasts, from its begin and unused. A screen on the wall is a viewer's.
const (
	sessionLife = 7 * 24 * time.Hour
	sessionIdle = 12 * time.Hour
	viewerLife  = 365 * 24 * time.Hour
	viewerIdle  = 30 * 24 * time.Hour

	mostSessions = 1000
	keepSeen     = 10 * time.Minute // how often it is written down that a session is used
)

// over reports whether a session has expired.
func (x *session) over(r Role, now time.Time) bool {
	life, idle := sessionLife, sessionIdle
	if r == Viewer {
		life, idle = viewerLife, viewerIdle
	}
	return now.Sub(x.Began) > life || now.Sub(x.Seen) > idle
}

// sessions are kept in a file, under the digest of the secret that the browser holds, so that they outlive a restart.
type sessions struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	all   map[string]*session
	saved time.Time
}

func newSessions(path string, log *slog.Logger) *sessions {
	s := &sessions{path: path, log: log, all: map[string]*session{}}
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &s.all) != nil {
		s.all = map[string]*session{} // everyone logs in again
	}
	return s
}

// begin makes a session and gives its secret.
func (s *sessions) begin(u *User, now time.Time) string {
	key := secret()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= mostSessions {
		oldest := ""
		for k, x := range s.all {
			if oldest == "" || x.Seen.Before(s.all[oldest].Seen) {
				oldest = k
			}
		}
		delete(s.all, oldest)
	}
	s.all[digest(key)] = &session{u.Name, digest(u.Password), now, now}
	s.save(now)
	return key
}

// end forgets a session.
func (s *sessions) end(key string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, digest(key))
	s.save(now)
}

// find gives the user of a session, nil if there is none.
func (s *sessions) find(key string, list []User, now time.Time) *User {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := digest(key)
	x := s.all[k]
	if x == nil {
		return nil
	}
	u := find(list, x.User)
	if u == nil || digest(u.Password) != x.Stamp || x.over(u.Role, now) {
		delete(s.all, k)
		s.save(now)
		return nil
	}
	if x.Seen = now; now.Sub(s.saved) > keepSeen {
		s.save(now)
	}
	return u
}

// save writes the file. If that fails it is logged, and users log in again after the next start.
func (s *sessions) save(now time.Time) {
	s.saved = now
	if err := writeSecret(s.path, s.all); err != nil {
		s.log.Warn("sessions of the page are not kept", "error", err)
	}
}
