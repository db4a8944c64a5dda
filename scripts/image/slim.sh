#!/bin/sh
# Takes out of an environment what the services never load, for the images: the libraries' own tests, headers and
# sources of Cython, and the parts of Arrow for storage services that we do not read. What is left must still be whole:
# the images' tests train, serve and show with it.
#
#   scripts/image/slim.sh ENVIRONMENT
set -eu
cd "$1"/lib/python3*/site-packages

find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' \) -delete
for part in flight s3fs s3 gcsfs azurefs hdfs orc; do
  rm -rf pyarrow/_"$part".* pyarrow/libarrow_"$part".so.* pyarrow/"$part".py
done
rm -rf pyarrow/include pyarrow/src
# for notebooks: CatBoost's and Streamlit's widgets import them when they are drawn, and only then
rm -rf plotly _plotly_utils pydeck/nbextension
cd - >/dev/null
"$1"/bin/python "$(dirname "$0")"/shrink_libraries.py "$1"
