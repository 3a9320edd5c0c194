/** The types of `/static/vendor/hls.js`, which `server/web/vendor.py` serves from the installed package: its light build has none of its own. */
export { default } from "hls.js";
