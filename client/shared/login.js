// @ts-check
/** The way to signing in and back. */

/**
 * Where to sign in and come back to.
 * @param {string} path
 * @returns {string}
 */
export function loginFor(path) {
  return `/login?next=${encodeURIComponent(path)}`;
}

/**
 * The place a sign-in may lead to: a path of this very origin, else "/". Guards against links that sign a
 * person in and then hand them to another site.
 * @param {string | null} wanted
 * @param {string} origin
 * @returns {string}
 */
export function safeNext(wanted, origin) {
  const local = /^\/(?![/\\])/;
  if (!wanted || !local.test(wanted)) return "/";
  try {
    const url = new URL(wanted, origin);
    const path = url.pathname + url.search + url.hash;
    // The URL parser drops tabs and dot segments, so both its origin and what is left are looked at.
    return url.origin === origin && local.test(path) ? path : "/";
  } catch {
    return "/";
  }
}
