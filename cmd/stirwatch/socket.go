package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

// This file holds what commands that speak to a running agent share.

// withAgent does something with the agent that runs with the configuration at path.
func withAgent(path string, do func(agent.Client) error) error {
	conf, err := config.Load(path)
	if err != nil {
		return err
	}
	err = do(assemble.Client(conf))
	if errors.Is(err, api.ErrNoAgent) {
		err = fmt.Errorf("%w; 'stirwatch run -c %s' starts one", err, path)
	}
	return err
}

// onRecord adds the flags --who and, where why is not nil, --why: both go on record with what is done.
func onRecord(c *cobra.Command, who, why *string) {
	c.Flags().StringVar(who, "who", accountName(), "`name` of who does it, for the record")
	if why != nil {
		c.Flags().StringVar(why, "why", "", "`reason`, for the record")
	}
}

// needReason is the error of a command that was given no reason for what goes on record; reason is what it was given.
func needReason(reason string) error {
	if reason == "" {
		return coded{errors.New("why? --why \"…\" goes on record"), exitUsage}
	}
	return nil
}

// accountName is the name of the account that runs the program.
func accountName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("user %d", os.Getuid())
}
