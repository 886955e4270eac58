/** Flags as Go programs take them: `-port 8888`, `--port 8888`, `-port=8888`; a switch stands alone or has `=false`. */

export interface FlagShape {
  /** What it is for, in the usage text. */
  readonly meaning: string;
  /** Used when the flag is not given; false makes the flag a switch. */
  readonly otherwise: string | false;
}

type Values<Shape extends Readonly<Record<string, FlagShape>>> = {
  readonly [Name in keyof Shape]: Shape[Name]['otherwise'] extends false ? boolean : string;
};

/** Prints the usage and ends the program, with 2 after a mistake. */
export function parseFlags<const Shape extends Readonly<Record<string, FlagShape>>>(
  program: string,
  shape: Shape,
  given: readonly string[] = process.argv.slice(2),
): Values<Shape> {
  const values: Record<string, string | boolean> = {};
  for (const [name, { otherwise }] of Object.entries(shape)) values[name] = otherwise;
  for (let index = 0; index < given.length; index++) {
    const [, name = '', written] = /^--?([^=]+)(?:=([^]*))?$/.exec(given[index] ?? '') ?? [];
    if (name === 'h' || name === 'help') leave(program, shape, null);
    const flag = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (flag === undefined) return leave(program, shape, `flag provided but not defined: ${given[index] ?? ''}`);
    if (flag.otherwise === false) {
      values[name] = written !== 'false';
      continue;
    }
    const value = written ?? given[++index];
    if (value === undefined) return leave(program, shape, `flag needs an argument: -${name}`);
    values[name] = value;
  }
  return values as Values<Shape>;
}

function leave(program: string, shape: Readonly<Record<string, FlagShape>>, mistake: string | null): never {
  const lines = Object.entries(shape).map(([name, { meaning, otherwise }]) => {
    const preset = otherwise === '' || otherwise === false ? '' : ` (default "${otherwise}")`;
    return `  -${name}${otherwise === false ? '' : ' string'}\n    \t${meaning}${preset}`;
  });
  const text = `${mistake === null ? '' : `${mistake}\n`}Usage of ${program}:\n${lines.join('\n')}\n`;
  (mistake === null ? process.stdout : process.stderr).write(text);
  process.exit(mistake === null ? 0 : 2);
}
