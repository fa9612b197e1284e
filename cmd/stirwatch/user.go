package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stirwatch/agent/dashboard"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func userCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Say who may use the page, and how far each may go",
		Long: `User keeps the file of those who may use the page of agent.yaml's section page. A running agent reads it
again by itself. While there are no users the page is for this computer alone, and everyone here may do
everything on it; with the first, everyone logs in, and the page may be served to the network.

A viewer sees everything. An operator also acknowledges and shelves alarms, accepts and declines what loops
propose, and sets their modes. An engineer also reads the audit trail and does whatever else there is.`,
		Example: `  stirwatch user add anna --role engineer
  stirwatch user add wall --role viewer
  stirwatch user token grafana
  stirwatch user list`,
	}
	c.AddCommand(userAddCommand(), userTokenCommand(), userPasswordCommand(), userRemoveCommand(), userListCommand())
	return c
}

// withUsers does something with the users of the configuration at path.
func withUsers(path string, do func(*dashboard.Users) error) error {
	conf, err := config.Load(path)
	if err != nil {
		return err
	}
	if conf.Page == nil {
		return fmt.Errorf("%s has no page; this line makes one: page: {listen: 127.0.0.1:8765}", path)
	}
	return do(assemble.Users(conf))
}

func roleFlag(c *cobra.Command, text *string) {
	c.Flags().StringVar(text, "role", dashboard.Viewer.String(), "viewer, operator or engineer")
	c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"viewer", "operator", "engineer"}, cobra.ShellCompDirectiveNoFileComp))
}

func userAddCommand() *cobra.Command {
	var path, role string
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a person, who logs in with a password",
		Long: `Add asks for the password twice on a terminal, and else reads it as the first line of its input. It has
8 characters at least.`,
		Example: `  stirwatch user add anna --role engineer`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := dashboard.ParseRole(role)
			if err != nil {
				return coded{err, exitUsage}
			}
			return withUsers(path, func(u *dashboard.Users) error {
				before, err := u.All()
				if err != nil {
					return err
				}
				password, err := askPassword(cmd)
				if err != nil {
					return err
				}
				if err := u.Add(args[0], r, password); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is a user: %s\n", args[0], r)
				if len(before) == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "It is the first: from now on everyone logs in, and page.listen may be an address of the network.")
				}
				return nil
			})
		},
	}
	configFlag(c, &path)
	roleFlag(c, &role)
	return c
}

func userTokenCommand() *cobra.Command {
	var path, role string
	c := &cobra.Command{
		Use:   "token NAME",
		Short: "Add a program, which sends a token",
		Long: `Token prints a token once; it is kept nowhere. A program sends it as the header
"Authorization: Bearer TOKEN". As a viewer, which it is where nothing else is said, it can only read.`,
		Example: `  stirwatch user token prometheus > token   # curl -H "Authorization: Bearer $(cat token)" http://127.0.0.1:8765/api/v1/now`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := dashboard.ParseRole(role)
			if err != nil {
				return coded{err, exitUsage}
			}
			return withUsers(path, func(u *dashboard.Users) error {
				token, err := u.AddToken(args[0], r)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), token)
				}
				return err
			})
		},
	}
	configFlag(c, &path)
	roleFlag(c, &role)
	return c
}

func userPasswordCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "password NAME",
		Short:   "Change a password, which ends the sessions of its user",
		Example: `  stirwatch user password anna`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUsers(path, func(u *dashboard.Users) error {
				password, err := askPassword(cmd)
				if err != nil {
					return err
				}
				return u.SetPassword(args[0], password)
			})
		},
	}
	configFlag(c, &path)
	return c
}

func userRemoveCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Take a user away, with its sessions",
		Example: `  stirwatch user remove anna`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return withUsers(path, func(u *dashboard.Users) error { return u.Remove(args[0]) })
		},
	}
	configFlag(c, &path)
	return c
}

func userListCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the users",
		Example: `  stirwatch user list`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withUsers(path, func(u *dashboard.Users) error {
				all, err := u.All()
				if err != nil {
					return err
				}
				if len(all) == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "there are no users: the page is for this computer alone")
					return nil
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "USER\tROLE\tBY\tADDED")
				for _, x := range all {
					by := "password"
					if x.Token != "" {
						by = "token"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", x.Name, x.Role, by, x.Added.Local().Format(time.DateTime))
				}
				return w.Flush()
			})
		},
	}
	configFlag(c, &path)
	return c
}

// askPassword asks for a new password twice on a terminal; where the input is none, it is the first line of that.
func askPassword(cmd *cobra.Command) (string, error) {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(text), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", err
	}
	again, err := ask("Again: ")
	if err == nil && again != first {
		err = errors.New("the two are not the same")
	}
	return first, err
}
