package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

// dist is the front end as `make build` makes it; without it, what git has of the folder.
//
//go:embed all:ui/dist
var dist embed.FS

// notBuilt is the page where the front end has not been built.
const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>stirwatch</title>
<h1>The page has not been built into this program</h1>
<p>The agent runs, and its API answers at <a href="/api/v1/now">/api/v1/now</a>; <a href="/api/v1/openapi.yaml">openapi.yaml</a> describes it.
<p>To have the page: install Node.js with npm, then run <code>make build</code> in the source of stirwatch.
</html>
`

// files serves the front end.
func (s *Server) files() http.Handler {
	ui, err := fs.Sub(dist, "ui/dist")
	if err != nil {
		panic(err) // the name is constant
	}
	return filesOf(ui)
}

func filesOf(ui fs.FS) http.Handler {
	if _, err := fs.Stat(ui, "index.html"); err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write([]byte(notBuilt))
		})
	}
	serve := http.FileServerFS(ui)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		if strings.Contains(r.URL.Path, "/.") { // what git has of the folder
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		if strings.HasPrefix(r.URL.Path, "/assets/") { // their names have a checksum in them
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		serve.ServeHTTP(w, r)
	})
}
