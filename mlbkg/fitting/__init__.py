"""Signal extraction: shapes, models, fits, goodness of fit, toys, peaking background."""
