"""`streamlit run rt-predictor-ui/src/app.py`: the pages of the installed package."""

from rt_predictor_ui.app import main

main()
