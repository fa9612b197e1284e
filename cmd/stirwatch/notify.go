package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/agent/notify"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func notifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "notify",
		Short: "Try whether people can be told of alarms, and see what waits",
		Long: `Notify is about the targets of agent.yaml's section notify: mail, phone, chat, program, broker, light.
docs/alarms.md shows how to set them up.`,
		Example: `  stirwatch notify list
  stirwatch notify test office`,
	}
	c.AddCommand(notifyListCommand(), notifyTestCommand())
	return c
}

func notifyListCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "list",
		Short: "List who is told of alarms, and how the running agent gets through to them",
		Long: `List asks the running agent for every target: when it last took a message, how many alarms it has yet
to be told of, and what keeps it from being told. Exit code 4: a target cannot be told.`,
		Example: `  stirwatch notify list`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []notify.Status
			err := withAgent(path, func(c agent.Client) error { return c.Do(cmd.Context(), http.MethodGet, "/notify", nil, &all) })
			if err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nobody is told: agent.yaml has no section notify")
				return nil
			}
			w := newTable(cmd.OutOrStdout())
			fmt.Fprintln(w, "TARGET\tLAST MESSAGE\tALARMS THAT WAIT\tPROBLEM")
			bad := 0
			for _, s := range all {
				problem := s.Problem
				if s.Attempts > 0 {
					problem = fmt.Sprintf("%s (%d attempts)", problem, s.Attempts)
				}
				if problem != "" {
					bad++
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", s.Name, clockTime(s.Last), s.Waiting, problem)
			}
			if err := w.Flush(); err != nil || bad == 0 {
				return err
			}
			return coded{fmt.Errorf("%d of %d cannot be told", bad, len(all)), exitFound}
		},
	}
	configFlag(c, &path)
	return c
}

func notifyTestCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "test TARGET",
		Short: "Send a message that says it is a test; a light shows high priority for a moment",
		Long: `Test sends a message through the running agent, or by itself where none runs. It succeeds where the
other side has taken the message; whether it arrives is for you to see.`,
		Example: `  stirwatch notify test office
  stirwatch notify test lamp`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			err = assemble.Client(conf).Do(cmd.Context(), http.MethodPost, "/notify/test", notify.TestRequest{Name: args[0]}, nil)
			if errors.Is(err, api.ErrNoAgent) {
				err = assemble.TestNotify(cmd.Context(), conf, args[0])
			}
			if err != nil && !errors.Is(err, notify.ErrNoTarget) {
				err = fmt.Errorf("%s: %w", args[0], err)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has taken the message\n", args[0])
			return nil
		},
	}
	configFlag(c, &path)
	return c
}
