package sensors

import "regexp"

// secretive is a value under a name by which devices and gateways send secrets; also in a text that has been quoted, where
// each quote has a backslash before it.
var secretive = regexp.MustCompile(`(?i)((?:\\?")?\b[\w-]*(?:passw|secret|token|api[_-]?key|authorization|credential)[\w-]*(?:\\?")?\s*[:=]\s*)` +
	`(\\"(?:\\\\\\"|\\[^"]|[^"\\])*(?:\\")?|"(?:[^"\\]|\\.)*"?|(?:bearer |basic )?[^\s,;&}]+)`)

// HideSecrets is a message, or what is told of one, with "(hidden)" for each value under a name such as password or token.
func HideSecrets(text string) string { return secretive.ReplaceAllString(text, "${1}(hidden)") }
