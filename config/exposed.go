package config

import (
	"fmt"
	"os"
	"reflect"
)

// Exposed names files of the configuration that everyone on this computer can read and should not: those of
// secrets and private keys, and the journal. Each is one sentence with its way out.
func (c *Config) Exposed() (all []string) {
	look := func(key, path string) {
		f, err := os.Stat(path)
		if err == nil && f.Mode().IsRegular() && f.Mode().Perm()&0o004 != 0 {
			all = append(all, fmt.Sprintf("%s: everyone on this computer can read %s (mode %04o): chmod o-rwx %s", key, path, f.Mode().Perm(), path))
		}
	}
	c.private("", reflect.ValueOf(c).Elem(), look)
	look("journal.path", c.Abs(c.Journal.Path))
	if c.Page != nil {
		look("page.users", c.Abs(c.Page.Users))
	}
	return all
}

// private calls found for the file of every secret and private key under v, whose key is at.
func (c *Config) private(at string, v reflect.Value, found func(key, path string)) {
	walk(at, v, func(key string, v any) {
		switch x := v.(type) {
		case Secret:
			if x.File != "" {
				found(key, c.Abs(x.File))
			}
		case TLS:
			if x.Key != "" {
				found(key+".key", c.Abs(x.Key))
			}
		case PageTLS:
			found(key+".key", c.Abs(x.Key))
		}
	})
}

// walk calls found for every secret and TLS section under v, whose key is at.
func walk(at string, v reflect.Value, found func(key string, v any)) {
	switch x := v.Interface().(type) {
	case Secret, TLS, PageTLS:
		found(at, x)
		return
	}
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		walk(at, v.Elem(), found)
	case v.Kind() == reflect.Slice && kinds[v.Type()] == nil:
		name, named := entryName(v.Type().Elem())
		for i := range v.Len() {
			entry := fmt.Sprintf("%s[%d]", at, i)
			if named {
				entry = at + "." + v.Index(i).Field(name.index).String()
			}
			walk(entry, v.Index(i), found)
		}
	case v.Kind() == reflect.Struct && kinds[v.Type()] == nil:
		for _, f := range fieldsOf(v.Type()) {
			key := f.name
			if at != "" {
				key = at + "." + f.name
			}
			walk(key, v.Field(f.index), found)
		}
	}
}
