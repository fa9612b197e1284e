package dashboard

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The cost of a password: what OWASP's Password Storage Cheat Sheet asks of argon2id at least. More memory would be more
// than a computer with 512 MB beside a machine can spare.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32 // bytes
	argonSalt    = 16
)

// What a password must be (NIST SP 800-63B, 3.1.1.2: length, and no rules about kinds of letters).
const (
	shortest = 8
	longest  = 128
)

func checkPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < shortest:
		return fmt.Errorf("the password is too short: %d characters at least", shortest)
	case len(password) > longest:
		return fmt.Errorf("the password is too long: %d bytes at most", longest)
	}
	return nil
}

// hash gives the argon2id hash (RFC 9106) of a password in PHC string format.
func hash(password string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, enc(salt), enc(key))
}

// matches reports whether a password is the one of a hash. A hash that cannot be read, or costs more than four times what
// [hash] takes, is nobody's.
func matches(password, hashed string) bool {
	parts := strings.Split(hashed, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false
	}
	var memory, time uint32
	var threads uint8
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); n != 3 || err != nil {
		return false
	}
	if memory < 8 || memory > 4*argonMemory || time < 1 || time > 4*argonTime || threads < 1 || threads > 4 {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || len(key) != argonKey || len(salt) < 8 {
		return false
	}
	return subtle.ConstantTimeCompare(key, argon2.IDKey([]byte(password), salt, time, memory, threads, argonKey)) == 1
}
