"""Operations lowered to Threshold gates, as nested NIR graphs."""
