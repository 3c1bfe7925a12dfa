/** Files of lines in one folder: the sealed segments of an archive, exports. Names that end in `.gz` are compressed. */

/** A line, without its line feed. */
export interface Line {
  readonly text: string
  /** SHA-256, in hex, of all bytes before it, as they were before they were compressed. */
  before(): string
}

/** A file as it lies there. */
export interface FileSeal {
  /** SHA-256, in hex. */
  readonly sha256: string
  readonly bytes: number
}

export interface Folder {
  /** For messages. */
  readonly path: string
  /** Names of the files in it, in no order; none where there is no such folder. */
  list(): Promise<string[]>
  /** Undefined where there is no such file. */
  seal(name: string): Promise<FileSeal | undefined>
  /** Throws StoreUnavailable where it cannot be read, or its compression is broken. */
  lines(name: string): AsyncIterable<Line>
  /**
   * All or nothing: once it resolves the file is on the disk, for its owner alone to read. `last` is told the SHA-256 of all
   * `lines`, each of which ends with a line feed, and adds one. Makes the folder where there is none.
   */
  write(
    name: string,
    lines: Iterable<string> | AsyncIterable<string>,
    last: (sha256: string) => string,
  ): Promise<FileSeal>
  remove(name: string): Promise<void>
}

/** The folder of a path, and the name of the file in it. */
export type FindFile = (path: string) => { readonly folder: Folder; readonly name: string }
