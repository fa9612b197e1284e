package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Role says how far a user may go.
type Role uint8

// Roles; each may do what those before it may.
const (
	Nobody   Role = iota // not known
	Viewer               // sees everything
	Operator             // acknowledges and shelves alarms, accepts and declines what loops propose, sets their modes
	Engineer             // chooses models, tries notifications, reads the audit trail
)

var roleNames = [...]string{"nobody", "viewer", "operator", "engineer"}

// String is the word for people.
func (r Role) String() string { return roleNames[r] }

// Roles are the words for those that a user can have.
func Roles() []string { return slices.Clone(roleNames[1:]) }

// MarshalText writes the word.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word for a role that a user can have.
func (r *Role) UnmarshalText(b []byte) error {
	i := slices.Index(roleNames[:], string(b))
	if i <= 0 {
		return fmt.Errorf("role %q: use one of %s", b, strings.Join(Roles(), ", "))
	}
	*r = Role(i)
	return nil
}

// User is a person with a password, or a program with a token.
type User struct {
	Name     string    `json:"name"`
	Role     Role      `json:"role"`
	Password string    `json:"password,omitempty"` // its hash, see hash
	Token    string    `json:"token,omitempty"`    // SHA-256 of it, in hexadecimal
	Added    time.Time `json:"added"`
}

// Users is the file of those who may use the page. Other processes may change it; it is read again when it has changed.
type Users struct {
	path string

	mu     sync.Mutex
	looked time.Time
	stamp  time.Time
	size   int64
	list   []User
	err    error
}

// OpenUsers is about the file at path, which need not be there.
func OpenUsers(path string) *Users { return &Users{path: path} }

// lookEvery is how old what is known of the file may be.
const lookEvery = time.Second

// All gives the users, by name. A file that cannot be read is an error: then nobody is let in.
func (u *Users) All() ([]User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.looked) < lookEvery {
		return u.list, u.err
	}
	return u.read()
}

func (u *Users) read() ([]User, error) {
	u.looked = time.Now()
	info, err := os.Stat(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		u.list, u.err, u.stamp = nil, nil, time.Time{}
		return nil, nil
	}
	if err == nil && u.err == nil && info.ModTime().Equal(u.stamp) && info.Size() == u.size {
		return u.list, nil
	}
	var text []byte
	if err == nil {
		u.stamp, u.size = info.ModTime(), info.Size()
		text, err = os.ReadFile(u.path)
	}
	var file usersFile
	if err == nil {
		if err = json.Unmarshal(text, &file); err != nil {
			err = fmt.Errorf("users %s: %w; mend it, or remove it and add them again with `stirwatch user add`", u.path, err)
		}
	}
	u.list, u.err = file.Users, err
	return u.list, u.err
}

type usersFile struct {
	Users []User `json:"users"`
}

// isName reports whether a user can have a name. (As a regular expression this takes 2.5 MB at every start.)
func isName(name string) bool {
	for i, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && (i == 0 || !strings.ContainsRune(" ._@-", r)) {
			return false
		}
	}
	n := utf8.RuneCountInString(name)
	return n > 0 && n <= 64
}

// change reads the file anew, lets do change the list, and writes it.
func (u *Users) change(do func([]User) ([]User, error)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stamp = time.Time{}
	list, err := u.read()
	if err != nil {
		return err
	}
	if list, err = do(slices.Clone(list)); err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	u.stamp, u.looked = time.Time{}, time.Time{}
	return writeSecret(u.path, usersFile{list})
}

// writeSecret replaces a file by the JSON of v, readable by its owner alone.
func writeSecret(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// find gives the user of a name, nil if there is none.
func find(list []User, name string) *User {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// Add makes a user with a password. One of that name must not be there.
func (u *Users) Add(name string, role Role, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	return u.add(User{Name: name, Role: role, Password: hash(password)})
}

// AddToken makes a program a user and gives its token, which is kept nowhere.
func (u *Users) AddToken(name string, role Role) (token string, err error) {
	token = secret()
	return token, u.add(User{Name: name, Role: role, Token: digest(token)})
}

func (u *Users) add(x User) error {
	if !isName(x.Name) {
		return fmt.Errorf("user %q: a name has 1 to 64 letters, digits, spaces or . _ @ -, and begins with a letter or digit", x.Name)
	}
	x.Added = time.Now().UTC().Truncate(time.Second)
	return u.change(func(list []User) ([]User, error) {
		if find(list, x.Name) != nil {
			return nil, fmt.Errorf("user %s is there already; `stirwatch user remove` takes it away, `stirwatch user password` changes its password", x.Name)
		}
		return append(list, x), nil
	})
}

// SetPassword changes the password of a user, which ends its sessions.
func (u *Users) SetPassword(name, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	return u.change(func(list []User) ([]User, error) {
		x := find(list, name)
		switch {
		case x == nil:
			return nil, fmt.Errorf("there is no user %s", name)
		case x.Password == "":
			return nil, fmt.Errorf("user %s has a token and no password; remove it and add it again for a new one", name)
		}
		x.Password = hash(password)
		return list, nil
	})
}

// Remove takes a user away, with its sessions.
func (u *Users) Remove(name string) error {
	return u.change(func(list []User) ([]User, error) {
		if find(list, name) == nil {
			return nil, fmt.Errorf("there is no user %s", name)
		}
		return slices.DeleteFunc(list, func(x User) bool { return x.Name == name }), nil
	})
}

// secret makes 256 random bits as text.
func secret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// digest is what is kept of a [secret]: it is too long to be guessed, so that no slow hash is needed.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
