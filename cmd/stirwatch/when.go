package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stirwatch/agent/history"
)

// moment is a flag that names an instant, as [history.When] reads it. It is zero where the flag is not given.
type moment struct {
	text string
	time.Time
}

func (i *moment) String() string { return i.text }
func (i *moment) Type() string   { return "time" }

// Set implements pflag.Value.
func (i *moment) Set(text string) (err error) {
	i.text = text
	i.Time, err = history.When(text, time.Now(), time.Local)
	return err
}

// ns is the instant in ns since the Unix epoch, 0 if none was given.
func (i *moment) ns() int64 {
	if i.IsZero() {
		return 0
	}
	return i.UnixNano()
}

const momentHelp = `a day or time here ("2026-07-01 06:30"), one with its zone (2026-07-01T06:30:00Z), or how long ago (8h, 7d)`

// fromFlag adds --from, which may also be written --since.
func fromFlag(c *cobra.Command, from *moment, what string) {
	c.Flags().Var(from, "from", what+": "+momentHelp)
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "since" {
			name = "from"
		}
		return pflag.NormalizedName(name)
	})
}
