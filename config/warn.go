package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Warnings tell what is allowed and yet probably not meant: channels that no source feeds or that two feed, secrets
// and files that are not there. Nothing but files is looked at.
func (c *Config) Warnings() []string {
	all := c.feedWarnings()
	walk("", reflect.ValueOf(c).Elem(), func(key string, v any) {
		switch x := v.(type) {
		case Secret:
			if _, err := x.Resolve(); err != nil {
				all = append(all, fmt.Sprintf("%s: %v", key, err))
			}
		case TLS:
			for _, path := range []Path{x.CA, x.Cert, x.Key} {
				if _, err := os.Stat(c.Abs(path)); path != "" && err != nil {
					all = append(all, fmt.Sprintf("%s: %s is not there", key, c.Abs(path)))
				}
			}
		}
	})
	for i := range c.Sources {
		if log := c.Sources[i].Log; log != nil {
			folder := filepath.Dir(c.Abs(log.Path))
			if strings.ContainsAny(folder, "*?[") {
				continue
			}
			if _, err := os.Stat(folder); err != nil {
				all = append(all, fmt.Sprintf("sources.%s.log.path: the folder %s is not there (yet)", c.Sources[i].Name, folder))
			}
		}
	}
	return all
}

var level = regexp.MustCompile(`\\\{\d+\\\}`)

// feedWarnings compare what sources give with what is declared. A log without fields gives columns of any name, and a
// topic with {3} channels of any name that fits: of those it cannot be told that nothing feeds them.
func (c *Config) feedWarnings() (all []string) {
	by := map[string][]string{}
	feed := func(channel, source string) {
		if !slices.Contains(by[channel], source) {
			by[channel] = append(by[channel], source)
		}
	}
	var any []*regexp.Regexp
	for i := range c.Sources {
		s := &c.Sources[i]
		switch {
		case s.Serial != nil:
			for _, f := range s.Serial.Fields {
				feed(f.Channel, s.Name)
			}
		case s.Log != nil:
			for _, f := range s.Log.Fields {
				feed(f.Channel, s.Name)
			}
			if len(s.Log.Fields) == 0 {
				any = append(any, regexp.MustCompile(`.`))
			}
		case s.MQTT != nil:
			for _, t := range s.MQTT.Topics {
				switch {
				case strings.Contains(t.Channel, "{"):
					any = append(any, regexp.MustCompile("^"+level.ReplaceAllString(regexp.QuoteMeta(t.Channel), ".*")+"$"))
				case t.Channel != "":
					feed(t.Channel, s.Name)
				}
				for _, f := range t.Fields {
					feed(f.Channel, s.Name)
				}
			}
		case s.Bridge != nil:
			for _, f := range slices.Concat(s.Bridge.Read, s.Bridge.Commanded) {
				feed(f.Channel, s.Name)
			}
		}
	}
channels:
	for i := range c.Channels {
		name := c.Channels[i].Name
		switch sources := by[name]; {
		case len(sources) > 1:
			all = append(all, fmt.Sprintf("channels.%s: fed by %s: readings of both stand in one series, and the newest counts; give one of them a channel of its own", name, strings.Join(sources, " and ")))
		case len(sources) == 0:
			for _, r := range any {
				if r.MatchString(name) {
					continue channels
				}
			}
			all = append(all, fmt.Sprintf("channels.%s: no source feeds it: it will be missing. Name it under the fields of a source, or take it out", name))
		}
	}
	return all
}
