package dashboard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stirwatch/agent/api"
)

// person is who makes a request.
type person struct {
	Name string `json:"name"` // "" where nobody has to say who it is
	Role Role   `json:"role"`
}

// Session is what a browser is told of itself.
type Session struct {
	person
	Login bool `json:"login"` // there are users, and one logs in
}

// who finds the person behind a request, by session or token. Without users everyone on this computer may do everything, like
// everyone who may open the agent's socket. Somebody who has not logged in is nobody.
func (s *Server) who(r *http.Request) (person, error) {
	list, err := s.users.All()
	if err != nil {
		return person{}, err
	}
	if len(list) == 0 {
		if !s.wide {
			return person{Role: Engineer}, nil
		}
		return person{}, errors.New("there are no users any more: nobody is let in from the network")
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		d := digest(strings.TrimSpace(token))
		for i := range list {
			if u := &list[i]; u.Token != "" && u.Token == d {
				return person{u.Name, u.Role}, nil
			}
		}
		return person{}, nil
	}
	if c, err := r.Cookie(s.cookieName()); err == nil {
		if u := s.sessions.find(c.Value, list, time.Now()); u != nil {
			return person{u.Name, u.Role}, nil
		}
	}
	return person{}, nil
}

// cookieName begins with __Host- where that can be: then no other host may set it.
func (s *Server) cookieName() string {
	if s.TLS != nil {
		return "__Host-stirwatch"
	}
	return "stirwatch"
}

func (s *Server) cookie(value string, age time.Duration) *http.Cookie {
	return &http.Cookie{Name: s.cookieName(), Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: s.TLS != nil, SameSite: http.SameSiteStrictMode}
}

// personKey is the key of the person in a request's context.
type personKey struct{}

func personOf(r *http.Request) person {
	p, _ := r.Context().Value(personKey{}).(person)
	return p
}

// allow passes on requests of people whose role is at least the given one.
func (s *Server) allow(least Role, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := s.who(r)
		switch {
		case err != nil:
			api.Fail(w, http.StatusServiceUnavailable, err)
		case p.Role == Nobody:
			api.Fail(w, http.StatusUnauthorized, errors.New("log in first: POST "+root+"/login, or send a token"))
		case p.Role < least:
			s.Log.Warn("the page refuses", "who", p.Name, "role", p.Role.String(), "what", r.Method+" "+r.URL.Path)
			api.Fail(w, http.StatusForbidden, fmt.Errorf("%s has the role %s; this needs the role %s", p.Name, p.Role, least))
		default:
			next(w, r.WithContext(context.WithValue(r.Context(), personKey{}, p)))
		}
	}
}

// answerSession is GET /session, which needs no login.
func (s *Server) answerSession(w http.ResponseWriter, r *http.Request) {
	p, err := s.who(r)
	if err != nil {
		api.Fail(w, http.StatusServiceUnavailable, err)
		return
	}
	list, _ := s.users.All()
	w.Header().Set("Cache-Control", "no-store")
	api.Write(w, Session{p, len(list) > 0})
}

// LoginRequest is the body of POST /login.
type LoginRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Logins are slow on purpose, and limited in number.
const (
	triesOfAddress = 10
	triesOfName    = 30
	tryEvery       = 20 * time.Second // a further one
	loginPatience  = 10 * time.Second
)

// nobodysHash is compared with when there is no such user, so that the answer takes as long as for one.
var nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// answerLogin is POST /login.
func (s *Server) answerLogin(w http.ResponseWriter, r *http.Request) {
	var q LoginRequest
	if !api.Read(w, r, &q) {
		return
	}
	now := time.Now()
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if wait := max(s.byAddress.take(host, now), s.byName.take(q.Name, now)); wait > 0 {
		s.count.loginsRefused.Add(1)
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		api.Fail(w, http.StatusTooManyRequests, fmt.Errorf("too many attempts; the next is taken in %v", wait.Round(time.Second)))
		return
	}
	list, err := s.users.All()
	if err != nil {
		api.Fail(w, http.StatusServiceUnavailable, err)
		return
	}
	hashed, u := nobodysHash, find(list, q.Name)
	if u != nil && u.Password != "" {
		hashed = u.Password
	}
	ctx, cancel := context.WithTimeout(r.Context(), loginPatience)
	defer cancel()
	select { // one at a time: each takes 19 MiB and a tenth of a second of a core
	case s.logins <- struct{}{}:
	case <-ctx.Done():
		w.Header().Set("Retry-After", "5")
		api.Fail(w, http.StatusServiceUnavailable, errors.New("too many log in at once"))
		return
	}
	ok := len(q.Password) <= longest && matches(q.Password, hashed) && u != nil
	<-s.logins
	if !ok {
		s.count.loginsFailed.Add(1)
		s.Log.Warn("a login to the page has failed", "name", q.Name, "from", host)
		api.Fail(w, http.StatusUnauthorized, errors.New("name or password is wrong"))
		return
	}
	s.byAddress.forget(host)
	s.byName.forget(q.Name)
	s.audit(u.Name, "login", "from "+host)
	life := sessionLife
	if u.Role == Viewer {
		life = viewerLife
	}
	http.SetCookie(w, s.cookie(s.sessions.begin(u, now), life))
	w.Header().Set("Cache-Control", "no-store")
	api.Write(w, Session{person{u.Name, u.Role}, true})
}

// answerLogout is POST /logout.
func (s *Server) answerLogout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(s.cookieName()); err == nil {
		s.sessions.end(c.Value, time.Now())
	}
	http.SetCookie(w, s.cookie("", -time.Second))
	w.WriteHeader(http.StatusNoContent)
}
