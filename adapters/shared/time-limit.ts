/** What came of something that may never answer, or `late()` after so many ms. What comes after that is nobody's business. */
export function within<Result>(ms: number, coming: Promise<Result>, late: () => Error): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms)
    coming.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
