/** The types of `/static/vendor/hls.js`, which `server/web/vendor.py` serves from the installed package. */
export { default } from "hls.js/light";
