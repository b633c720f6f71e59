package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
)

func (a *app) receiptCommand() *cli.Command {
	c := &cli.Command{Name: "receipt", Usage: "sign what was measured", Flags: append(suiteFlags(),
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE` (default: standard output)"},
		&cli.BoolFlag{Name: "with-suite", Usage: "put the suite file's text into the receipt, with all paths, variables and comments in it"},
		&cli.BoolFlag{Name: "public", Usage: "show the public key instead"},
		&cli.StringFlag{Name: "key", EnvVars: []string{"LEDGE_BENCH_KEY"}, Usage: "a `FILE` with an Ed25519 key, as openssl genpkey -algorithm ed25519 makes it (default: your own, made when needed)"},
		quietFlag(),
	), Action: a.receipt}
	return console.Describe(c, "ledge-bench receipt [FLAGS] SUITE|JOURNAL", `
A receipt is one JSON file with the machine, its clocks and temperatures, the programs,
the models' hashes, the settings, every sample and the hash of every output, in the
canonical form of RFC 8785 and signed with Ed25519. Of the suite's file it has the hash;
--with-suite gives its text away, too. A key is made at the first time; it stays on this
machine, readable by you alone. Give others its public half (ledge-bench receipt
--public), so that they can tell your receipts.`,
		`ledge-bench receipt board.yaml -o board.receipt.json`, `ledge-bench receipt --public`)
}

func (a *app) receipt(c *cli.Context) error {
	if c.Bool("public") {
		if err := console.Only(c, 0, ""); err != nil {
			return err
		}
		key, err := a.key(c)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.out, receipt.Public(key))
		return a.out.Flush()
	}
	if c.NArg() != 1 {
		return console.Usagef("name one suite or journal")
	}
	s, records, err := a.measured(c)
	if err != nil {
		return err
	}
	r := receipt.Receipt{Time: time.Now().UTC().Truncate(time.Second), Maker: receipt.Maker{Version: console.Revision(), Go: runtime.Version()}, Records: records}
	if c.Bool("with-suite") {
		if s == nil {
			return console.Usagef("--with-suite: %s is a journal, which has no suite's text; name the suite", c.Args().First())
		}
		text, err := os.ReadFile(c.Args().First())
		if err != nil {
			return err
		}
		r.Suite = string(text)
	}
	key, err := a.key(c)
	if err != nil {
		return err
	}
	data, err := r.Sign(key)
	if err != nil {
		return err
	}
	if err := a.write(c.String("output"), data); err != nil {
		return err
	}
	a.note("%d rounds, signed by %s", len(records), receipt.Fingerprint(receipt.Public(key)))
	return nil
}

// key is the one to sign with. It is made at the default place alone: at another one
// its absence is more likely a mistake, which would sign with a key nobody knows.
func (a *app) key(c *cli.Context) (key ed25519.PrivateKey, err error) {
	path := c.String("key")
	if path != "" {
		key, err = receipt.ReadKey(path)
	} else {
		if path, err = receipt.KeyPath(); err != nil {
			return nil, err
		}
		var made bool
		if key, made, err = receipt.OpenKey(path); made && err == nil {
			a.note("a new key is in %s", path)
		}
	}
	a.reads(path, "the key")
	if err == nil && receipt.Exposed(path) {
		a.note("the key %s is open to others than its owner, who could sign with it: chmod 600", path)
	}
	return key, err
}

// write writes a file that the command does not read, whole or not at all, or standard
// output.
func (a *app) write(path string, data []byte) error {
	if path == "" || path == "-" {
		if _, err := a.out.Write(data); err != nil {
			return err
		}
		return a.out.Flush()
	}
	if err := a.spare(path); err != nil {
		return err
	}
	return console.WriteFile(path, a.out, func(f *console.File) error {
		_, err := f.Write(data)
		return err
	})
}

func (a *app) verifyCommand() *cli.Command {
	c := &cli.Command{Name: "verify", Usage: "check a receipt's signature", Flags: []cli.Flag{byFlag(), quietFlag()}, Action: a.verify}
	return console.Describe(c, "ledge-bench verify [--by KEY] RECEIPT", `
Exit code 6 says that this is no receipt as it was signed (a byte is another, a part is
missing, it is another kind of file), or that another key than --by signed it. Without
--by anybody may have signed it: compare the fingerprint with one that you have from its
maker.`,
		`ledge-bench verify board.receipt.json`, `ledge-bench verify --by colleague.pub board.receipt.json`)
}

func byFlag() cli.Flag {
	return &cli.StringFlag{Name: "by", Usage: "the receipt must be signed by this `PUBLIC KEY`: base64, or a file with it or with OpenSSL's PEM"}
}

func (a *app) verify(c *cli.Context) error {
	r, err := a.openReceipt(c)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s: as it was signed by %s\n", console.OneLine(c.Args().First()), receipt.Fingerprint(r.Key))
	fmt.Fprintf(a.out, "made %s by ledge-bench %s; %d rounds of %d cases\n", r.Time.UTC().Format("2006-01-02 15:04 UTC"), console.OneLine(r.Maker.Version),
		len(r.Records), len(record.Cases(r.Records)))
	m := r.Records[0].Machine
	fmt.Fprintf(a.out, "machine: %s\n", console.OneLine(strings.TrimPrefix(fmt.Sprintf("%s %s, %d cores, %s %s", m.Board, m.CPU, m.Cores, m.OS, m.Kernel), " ")))
	disturbed := 0
	for _, rec := range r.Records {
		if len(rec.Disturbed) > 0 {
			disturbed++
		}
	}
	if disturbed > 0 {
		fmt.Fprintf(a.out, "disturbed: %d of %d rounds\n", disturbed, len(r.Records))
	}
	if c.String("by") == "" {
		a.note("whose key that is only its maker can say: --by KEY demands one")
	}
	return a.out.Flush()
}

// openReceipt reads and checks the receipt that a command line names.
func (a *app) openReceipt(c *cli.Context) (*receipt.Receipt, error) {
	if c.NArg() != 1 {
		return nil, console.Usagef("name one receipt")
	}
	path := c.Args().First()
	a.reads(path, "the receipt")
	a.reads(c.String("by"), "the key of --by")
	data, err := readReceipt(path, a.in)
	if err != nil {
		return nil, err
	}
	r, err := receipt.Verify(data)
	if err != nil {
		return nil, outcome{fmt.Sprintf("%s: %v", path, err), exitForged}
	}
	if by := c.String("by"); by != "" {
		return r, signedBy(path, by, r)
	}
	return r, nil
}

// signedBy checks that a key, or one in a file, signed a receipt.
func signedBy(path, by string, r *receipt.Receipt) error {
	text, err := os.ReadFile(by)
	if err == nil {
		by = string(text)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if by, err = receipt.ReadPublic(by); err != nil {
		return console.Usagef("--by: it is neither a public key nor a file with one: %v", err)
	}
	if by != r.Key {
		return outcome{fmt.Sprintf("%s: signed by %s, not by %s", path, receipt.Fingerprint(r.Key), receipt.Fingerprint(by)), exitForged}
	}
	return nil
}

// readReceipt reads a file, or standard input, but no more than a receipt may have.
func readReceipt(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(stdin, receipt.MaxBytes+1))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, receipt.MaxBytes+1))
}
